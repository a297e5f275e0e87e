//! Checks that the generated pages are up to date and that their sources are complete.

use smoke::{examples, workspace};

#[test]
fn the_pages_of_examples_are_up_to_date() {
    if let Err(error) = examples::check(&workspace::examples().unwrap()) {
        panic!("{error:#}");
    }
}
