//! The ways in which a person may write a live value.
//!
//! Written by hand from REFERENCE and DESIGN section 2, and on purpose not with `job::canonical`: a value that this
//! file and that module read differently fails a test.

use patchctl::job::{Element, Empty, Member, Type};
use serde_json::{Value, json};

use super::dice::Dice;

const SHORT: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const LONG: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Whether a raw value of a scalar or set says nothing.
pub(crate) fn is_nothing(row: &Member, raw: &Value) -> bool {
    match raw {
        Value::Null => true,
        Value::String(text) => {
            text.is_empty() || (matches!(row.kind, Type::WeekDays) && text == "0,0,0,0,0,0,0")
        }
        Value::Array(items) => items.is_empty(),
        Value::Bool(value) => row.empty == Empty::False && !value,
        Value::Number(number) => row.empty == Empty::Zero && number.as_i64() == Some(0),
        Value::Object(_) => false,
    }
}

/// One way to write a raw scalar or set into a manifest.
pub(crate) fn any(dice: &mut Dice, row: &Member, raw: &Value) -> Value {
    if is_nothing(row, raw) {
        return nothing(dice, row);
    }
    match (row.kind, raw) {
        (Type::Integer(..), _) => integer(dice, raw),
        (Type::WeekDays, Value::String(flags)) => week_days(dice, flags),
        (Type::WeekDay, _) => week_day(dice, raw),
        (Type::DateTime, Value::String(text)) => date_time(dice, text),
        (Type::Set(element), Value::Array(items)) => set(dice, element, items),
        (Type::Addresses, Value::String(text)) => addresses(dice, text),
        (Type::Choice(_) | Type::OpenChoice(_), Value::String(text)) => choice(dice, row, text),
        (Type::Uuid | Type::Job, Value::String(text)) => cased(dice, text),
        _ => raw.clone(),
    }
}

/// One way to write "none".
fn nothing(dice: &mut Dice, row: &Member) -> Value {
    let mut ways = vec![Value::Null];
    match (row.kind, row.empty) {
        (Type::Set(_), _) => ways.push(json!([])),
        (Type::WeekDays, _) => ways.extend([json!([]), json!("0,0,0,0,0,0,0")]),
        (Type::Text | Type::Uuid | Type::Job | Type::Addresses, _) => ways.push(json!("")),
        (Type::Bool, Empty::False) => ways.push(json!(false)),
        (_, Empty::Default(default)) => ways.push(default.into()),
        (_, Empty::Zero) => ways.extend([json!(0), json!("0")]),
        _ => {}
    }
    dice.pick(&ways)
}

fn integer(dice: &mut Dice, raw: &Value) -> Value {
    let number = raw.as_i64().or_else(|| raw.as_str()?.trim().parse().ok());
    match number {
        Some(number) => dice.pick(&[json!(number), json!(number.to_string())]),
        None => raw.clone(),
    }
}

fn week_days(dice: &mut Dice, flags: &str) -> Value {
    let names = if dice.chance(30) { LONG } else { SHORT };
    let mut days: Vec<&str> =
        flags.split(',').zip(names).filter(|(flag, _)| *flag == "1").map(|(_, name)| name).collect();
    dice.shuffle(&mut days);
    match dice.below(4) {
        0 => json!(days),
        1 => json!(days.iter().map(|day| day.to_lowercase()).collect::<Vec<_>>()),
        2 => json!(days.join(", ")),
        _ => json!(flags),
    }
}

fn week_day(dice: &mut Dice, raw: &Value) -> Value {
    let position =
        raw.as_u64().or_else(|| raw.as_str()?.parse().ok()).and_then(|day| usize::try_from(day).ok());
    match position {
        Some(day) if day < 7 => {
            dice.pick(&[json!(SHORT[day]), json!(LONG[day]), json!(day), json!(day.to_string())])
        }
        Some(_) | None => raw.clone(),
    }
}

/// `2026-7-01 09:57:18 PM` to ISO, with a `T` or a blank, with seconds or, where they are 0, without.
fn date_time(dice: &mut Dice, text: &str) -> Value {
    let parts: Vec<u32> =
        text.split(['-', ' ', ':']).take(6).map(|part| part.parse().expect("the server's form")).collect();
    let [year, month, day, hour, minute, second] = parts.as_slice() else {
        panic!("not the server's form: {text}");
    };
    let hour = hour % 12 + if text.ends_with("PM") { 12 } else { 0 };
    let between = dice.pick(&["T", " "]);
    let mut iso = format!("{year}-{month:02}-{day:02}{between}{hour:02}:{minute:02}");
    if *second != 0 || dice.chance(50) {
        iso.push_str(&format!(":{second:02}"));
    }
    dice.pick(&[iso, text.to_owned()]).into()
}

fn set(dice: &mut Dice, element: Element, items: &[Value]) -> Value {
    let mut items = items.to_vec();
    dice.shuffle(&mut items);
    if dice.chance(20) {
        items.push(items[0].clone());
    }
    let one = |item: Value| match (element, &item) {
        (Element::Uuid | Element::Tag | Element::Action, Value::String(text)) => cased(dice, text),
        (Element::Integer, _) => integer(dice, &item),
        _ => item,
    };
    items.into_iter().map(one).collect()
}

fn cased(dice: &mut Dice, text: &str) -> Value {
    dice.pick(&[text.to_owned(), text.to_uppercase(), text.to_lowercase()]).into()
}

fn addresses(dice: &mut Dice, text: &str) -> Value {
    let mut list: Vec<&str> = text.split(',').map(str::trim).filter(|address| !address.is_empty()).collect();
    dice.shuffle(&mut list);
    dice.pick(&[json!(list), json!(list.join(", ")), json!(text)])
}

fn choice(dice: &mut Dice, row: &Member, text: &str) -> Value {
    let known = match row.kind {
        Type::Choice(known) | Type::OpenChoice(known) => known,
        _ => &[],
    };
    if known.iter().any(|name| name.eq_ignore_ascii_case(text)) { cased(dice, text) } else { text.into() }
}
