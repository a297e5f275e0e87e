//! One test for every check of every example: `cargo test pipe_demo::poll` runs those of one.

use std::env;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use smoke::faults::{FAULTS, Verdict};
use smoke::suite::{self, Check, Passed};
use smoke::{readme, supervise, workspace};

fn main() -> ExitCode {
    let mut args = env::args_os().skip(1);
    if args
        .next()
        .is_some_and(|first| first == supervise::ARGUMENT)
    {
        return supervise::main(args);
    }
    let examples = match workspace::examples() {
        Ok(examples) => examples,
        Err(error) => {
            eprintln!("{error:#}");
            return ExitCode::FAILURE;
        }
    };
    let failed = |error: anyhow::Error| Failed::from(format!("{error:#}"));
    let all = examples.clone();
    let mut trials = vec![Trial::test("consistency", move || {
        suite::consistency(&all)
            .and_then(|()| readme::check(&all))
            .map_err(failed)
    })];
    for example in examples {
        for check in Check::ALL {
            let (name, example) = (check.name(&example), example.clone());
            trials.push(Trial::ignorable_test(name, move || {
                match suite::check(&example, check).map_err(failed)? {
                    Passed::Checked => Ok(Completion::Completed),
                    Passed::Ignored(reason) => Ok(Completion::ignored_with(reason)),
                }
            }));
        }
    }
    for fault in FAULTS {
        for form in fault.forms {
            let name = format!("faults::{}::{form}", fault.name);
            let name = name.trim_end_matches("::");
            trials.push(Trial::ignorable_test(name, move || {
                let outcome = fault.ours(form, fault.short).map_err(failed)?;
                match outcome.verdict {
                    Verdict::Held => Ok(Completion::Completed),
                    Verdict::Broken => Err(outcome.text.into()),
                    Verdict::NotPossible => Ok(Completion::ignored_with(outcome.text)),
                }
            }));
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
