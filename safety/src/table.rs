//! The table at the end: one line a lane, or one JSON object a line.

use crate::lane::Outcome;

/// A lane's line.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Row {
    pub lane: String,
    pub cases: u64,
    pub lost: u64,
    pub crashed: u64,
    pub seconds: f64,
    /// Why it did not run.
    pub why: Option<String>,
}

impl Row {
    pub fn new(lane: &str, outcome: &Outcome) -> Row {
        let Outcome { cases, lost, crashed, seconds } = *outcome;
        Row { lane: lane.to_owned(), cases, lost, crashed, seconds, why: None }
    }

    /// One JSON object.
    pub fn json(&self) -> String {
        let Row { lane, cases, lost, crashed, seconds, why } = self;
        let why = why.as_ref().map_or_else(String::new, |why| {
            let plain: String =
                why.chars().map(|c| if c == '"' || c == '\\' || c.is_control() { ' ' } else { c }).collect();
            format!(r#", "not_run": "{plain}""#)
        });
        format!(
            r#"{{"lane": "{lane}", "cases": {cases}, "lost": {lost}, "crashed": {crashed}, "seconds": {seconds:.1}{why}}}"#
        )
    }

    /// Reads what [`Row::json`] wrote.
    pub fn parse(text: &str) -> Option<Row> {
        let after = |key: &str| text.split_once(&format!("\"{key}\": ")).map(|(_, rest)| rest);
        let number = |key: &str| after(key)?.split([',', '}']).next()?.trim().parse::<f64>().ok();
        let words = |key: &str| after(key)?.strip_prefix('"')?.split('"').next().map(str::to_owned);
        Some(Row {
            lane: words("lane")?,
            cases: number("cases")? as u64,
            lost: number("lost")? as u64,
            crashed: number("crashed")? as u64,
            seconds: number("seconds")?,
            why: words("not_run"),
        })
    }
}

/// Prints all rows.
pub fn print(rows: &[Row], json: bool) {
    if json {
        rows.iter().for_each(|row| println!("{}", row.json()));
        return;
    }
    println!();
    println!("lane       |      cases |  lost | crashed | seconds");
    println!("---------- | ---------- | ----- | ------- | -------");
    for row in rows {
        match &row.why {
            Some(why) => println!("{:<10} | not run: {why}", row.lane),
            None => println!(
                "{:<10} | {:>10} | {:>5} | {:>7} | {:>7.1}",
                row.lane, row.cases, row.lost, row.crashed, row.seconds
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Row;

    #[test]
    fn a_row_is_read_as_it_was_written() {
        let whole = Row { lane: "crash".into(), cases: 12, lost: 1, crashed: 2, seconds: 3.5, why: None };
        assert_eq!(Row::parse(&whole.json()), Some(whole));
        let absent = Row { lane: "power".into(), why: Some("needs root".into()), ..Row::default() };
        assert_eq!(Row::parse(&absent.json()), Some(absent));
        assert_eq!(Row::parse(""), None);
    }
}
