//! Which cases run, and the function that Callgrind counts in.

/// What a case does once.
pub type Case = Box<dyn FnMut()>;

/// Runs a case so many times. Callgrind counts in this function alone: its name and its symbol
/// must stay.
#[inline(never)]
pub fn budget_measured(case: &mut dyn FnMut(), times: u32) {
    for _ in 0..times {
        case();
    }
}

/// Which cases run.
pub enum Selection {
    /// None; their names are printed.
    List,
    /// The one of this name.
    One(String),
}

impl Selection {
    /// Runs a case if it is selected, first without counting: it finds its statics initialised and
    /// its memory mapped. Prints how often it was counted.
    pub fn measure(&self, name: &str, times: u32, prepare: impl FnOnce() -> Case) {
        match self {
            Self::List => println!("{name}"),
            Self::One(selected) if selected == name => {
                let mut case = prepare();
                for _ in 0..times {
                    case();
                }
                budget_measured(&mut case, times);
                println!("{times}");
            }
            Self::One(_) => {}
        }
    }
}
