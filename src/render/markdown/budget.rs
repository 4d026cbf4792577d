//! Making a document fit: what must be seen stays, the rest gets shorter, and what is left out is counted.

use super::length;

/// One thing in several lengths, the longest first; all of them say what it is.
#[derive(Clone, Debug)]
pub struct Item {
    /// Everything about it.
    pub full: String,
    /// One line that says why.
    pub line: String,
    /// The shortest form, one line.
    pub bare: String,
}

/// How much of an item is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// Nothing: it is counted.
    Left,
    /// The shortest line.
    Bare,
    /// The line that says why.
    Line,
    /// Everything.
    Full,
}

impl Item {
    /// The text of a form.
    pub fn text(&self, form: Form) -> &str {
        match form {
            Form::Left => "",
            Form::Bare => &self.bare,
            Form::Line => &self.line,
            Form::Full => &self.full,
        }
    }
}

/// Chooses how much of each item is shown within a number of characters; returns what is left of it.
///
/// First every item gets its shortest form, in the order given, as far as there is room; then, in the same order, the
/// line, and then the whole. An item is made longer only if no item would be left out for it.
pub fn fit(items: &[Item], mut room: usize) -> (Vec<Form>, usize) {
    let mut forms = vec![Form::Left; items.len()];
    for form in [Form::Bare, Form::Line, Form::Full] {
        if form > Form::Bare && forms.contains(&Form::Left) {
            break;
        }
        for (item, chosen) in items.iter().zip(&mut forms) {
            let now = length(item.text(*chosen));
            let then = length(item.text(form));
            if then <= now + room {
                room = room + now - then;
                *chosen = form;
            } else if form == Form::Bare {
                // What is left out is the tail, never a hole in the middle.
                return (forms, room);
            }
        }
    }
    (forms, room)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(n: usize) -> Item {
        Item { full: "f".repeat(n), line: "l".repeat(20), bare: "b".repeat(10) }
    }

    #[test]
    fn shortest_first_then_longer_in_order() {
        let items = [item(100), item(100), item(30)];
        assert_eq!(fit(&items, 1_000), (vec![Form::Full; 3], 770));
        assert_eq!(fit(&items, 145).0, [Form::Full, Form::Line, Form::Line]);
        assert_eq!(fit(&items, 70).0, [Form::Line, Form::Line, Form::Full]);
        assert_eq!(fit(&items, 45).0, [Form::Line, Form::Bare, Form::Bare]);
        assert_eq!(fit(&items, 25), (vec![Form::Bare, Form::Bare, Form::Left], 5));
        assert_eq!(fit(&[], 25), (vec![], 25));
    }
}
