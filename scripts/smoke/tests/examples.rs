//! What is generated is up to date, and what it is generated from is complete.

use smoke::{examples, workspace};

#[test]
fn the_pages_of_examples_are_up_to_date() {
    if let Err(error) = examples::check(&workspace::examples().unwrap()) {
        panic!("{error:#}");
    }
}
