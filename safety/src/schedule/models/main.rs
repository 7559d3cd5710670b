//! `nyro-schedules`: the whole engine on the simulated disk, its threads in a random order that repeats from a seed.
//!
//! ```text
//!   nyro-schedules --list                  the models
//!   nyro-schedules bank uneven 100 500     500 schedules of one, drawn from seed 100: tasks of different speed
//!   nyro-schedules bank pct 100 500        the same, where few switches are made, at odd moments
//!   nyro-schedules bank random 100 500     the same, where each task is as likely at each point
//!   nyro-schedules bank uneven 100 500 DataNotSynced      with a planted bug
//! ```
//!
//! It ends with `schedules bank 500`, or at the first failure with what was broken and the schedule. The same arguments
//! give the same schedules. A build of its own: `RUSTFLAGS="--cfg shuttle"`; `make test-shuttle` runs all models.

#[cfg(shuttle)]
mod commits;
#[cfg(shuttle)]
mod readers;
#[cfg(shuttle)]
mod run;
#[cfg(shuttle)]
mod uneven;
#[cfg(shuttle)]
mod world;

#[cfg(shuttle)]
fn main() -> std::process::ExitCode {
    run::main()
}

#[cfg(not(shuttle))]
fn main() -> std::process::ExitCode {
    eprintln!("nyro-schedules: this is no build with --cfg shuttle; see `make test-shuttle`");
    std::process::ExitCode::from(2)
}
