//! What the inspectors print: names with values, and tables. One description, two forms.
//!
//! ```text
//!   --json   {"page":7,...,"records":[{"position":40,...},...]}
//!
//!   text     page        7
//!            ...
//!
//!            records
//!            position  ordinal  id
//!                  40       17   1
//! ```

use serde_json::{Map, Value};

/// Names with values in an order, then tables.
#[derive(Debug, Default)]
pub struct Sheet {
    fields: Vec<(&'static str, Value)>,
    tables: Vec<Table>,
}

/// Rows with the same columns.
#[derive(Debug)]
struct Table {
    name: &'static str,
    columns: &'static [&'static str],
    rows: Vec<Vec<Value>>,
}

impl Sheet {
    /// Adds a value.
    pub fn field(&mut self, name: &'static str, value: impl Into<Value>) -> &mut Sheet {
        self.fields.push((name, value.into()));
        self
    }

    /// Adds a value that may not be there.
    pub fn maybe(&mut self, name: &'static str, value: Option<impl Into<Value>>) -> &mut Sheet {
        if let Some(value) = value {
            self.field(name, value);
        }
        self
    }

    /// Adds a table; each row has a value for each column.
    pub fn table(
        &mut self,
        name: &'static str,
        columns: &'static [&'static str],
        rows: impl IntoIterator<Item = Vec<Value>>,
    ) -> &mut Sheet {
        self.tables.push(Table { name, columns, rows: rows.into_iter().collect() });
        self
    }

    /// One line.
    pub fn to_json(&self) -> String {
        let mut object = Map::new();
        for (name, value) in &self.fields {
            object.insert((*name).to_owned(), value.clone());
        }
        for Table { name, columns, rows } in &self.tables {
            let of_row = |row: &Vec<Value>| {
                let named = columns.iter().zip(row).map(|(column, value)| ((*column).to_owned(), value.clone()));
                Value::Object(named.collect())
            };
            object.insert((*name).to_owned(), rows.iter().map(of_row).collect());
        }
        format!("{}\n", Value::Object(object))
    }

    /// For people.
    pub fn text(&self) -> String {
        let width = self.fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let mut text = String::new();
        for (name, value) in &self.fields {
            text.push_str(&format!("{:<width$}  {}\n", words(name), shown(value)));
        }
        for table in self.tables.iter().filter(|table| !table.rows.is_empty()) {
            text.push_str(&format!("\n{}\n{}", words(table.name), table.text()));
        }
        text
    }
}

impl Table {
    fn text(&self) -> String {
        let cells: Vec<Vec<String>> = self.rows.iter().map(|row| row.iter().map(shown).collect()).collect();
        let head: Vec<String> = self.columns.iter().map(|column| words(column)).collect();
        let mut text = String::new();
        for row in std::iter::once(&head).chain(&cells) {
            let mut line = String::new();
            for (at, cell) in row.iter().enumerate() {
                let width = std::iter::once(&head).chain(&cells).filter_map(|r| r.get(at)).map(|c| c.chars().count());
                let width = width.max().unwrap_or(0);
                line.push_str(&match self.is_number(at) {
                    true => format!("{cell:>width$}  "),
                    false => format!("{cell:<width$}  "),
                });
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    fn is_number(&self, column: usize) -> bool {
        let mut values = self.rows.iter().filter_map(|row| row.get(column)).filter(|value| !value.is_null());
        values.all(Value::is_number)
    }
}

fn words(name: &str) -> String {
    name.replace('_', " ")
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) if values.is_empty() => "-".to_owned(),
        Value::Array(values) => values.iter().map(shown).collect::<Vec<_>>().join(" "),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_forms_say_the_same() {
        let mut sheet = Sheet::default();
        sheet.field("page", 7).field("page_use", "used").maybe("inside", None::<u64>);
        sheet.table(
            "records",
            &["position", "id"],
            [vec![json!(40), json!("\"ada\"")], vec![json!(1200), json!(null)]],
        );
        sheet.table("none", &["a"], []);
        let text = "page      7\npage use  used\n\nrecords\nposition  id\n      40  \"ada\"\n    1200  -\n";
        assert_eq!(sheet.text(), text);
        let object: Value = serde_json::from_str(&sheet.to_json()).expect("JSON");
        let records = json!([{ "position": 40, "id": "\"ada\"" }, { "position": 1200, "id": null }]);
        assert_eq!(object, json!({ "page": 7, "page_use": "used", "records": records, "none": [] }));
    }
}
