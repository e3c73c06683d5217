//! Steps that a change must pass, one after the other: each with its name, how long it took,
//! and what to do when it fails.

use std::time::Instant;

use anyhow::Result;

use crate::session::Interrupted;

/// A step: its name, what it does, and what to do when it fails.
pub type Step<C> = (&'static str, fn(&C) -> Result<()>, &'static str);

/// Runs all steps; stops at the first that fails.
pub fn run<C>(steps: &[Step<C>], context: &C) -> Result<()> {
    let begun = Instant::now();
    for (index, (name, step, advice)) in steps.iter().enumerate() {
        let title = format!("[{}/{}] {name}", index + 1, steps.len());
        println!("\n{title}");
        let step_begun = Instant::now();
        let result = step(context);
        let seconds = step_begun.elapsed().as_secs_f64();
        match result {
            Ok(()) => println!("{title}: passed in {seconds:.1} s"),
            Err(error) if error.is::<Interrupted>() => return Err(error),
            Err(error) => {
                println!("{title}: FAILED after {seconds:.1} s\nWhat to do: {advice}");
                println!(
                    "\n{index} passed, 1 failed, {} not run",
                    steps.len() - index - 1
                );
                return Err(error.context(*name));
            }
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!("\n{} passed, 0 failed in {seconds:.1} s", steps.len());
    Ok(())
}
