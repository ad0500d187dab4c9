//! The self-test tested: it passes where rows are read as they are, and fails for every way of not seeing one.

use super::*;
use crate::model::source::RowKey;

fn column(name: &str, pg_type: PgType) -> ColumnPlan {
    ColumnPlan {
        source: name.to_owned(),
        declared: String::new(),
        target: name.to_owned(),
        pg_type,
        conversion: Conversion::Text { numbers: true, chars_max: None },
        stand_ins: false,
        is_rule: false,
        on_error: crate::model::policy::Policy::Fail,
        fallback: None,
        null_is_default: false,
        not_null: false,
        default: None,
        generated: None,
        identity: None,
        evidence: String::new(),
    }
}

fn table(types: &[PgType]) -> TablePlan {
    let columns = types.iter().enumerate().map(|(i, t)| column(&format!("c{i}"), t.clone())).collect();
    plan(&TablePlan {
        source: "t".to_owned(),
        target: "t".to_owned(),
        row_key: RowKey::None,
        existing: false,
        on_refusal: crate::model::policy::Policy::Fail,
        marks: Vec::new(),
        columns,
        primary_key: None,
        indexes: Vec::new(),
        checks: Vec::new(),
        foreign_keys: Vec::new(),
        rows: 0,
        rows_exact: false,
        bytes: 0,
        largest_cell: 0,
        key_bounds: None,
    })
}

fn every_type() -> Vec<(PgType, Vec<u8>)> {
    let text = || b"abc".to_vec();
    vec![
        (PgType::Bool, vec![1]),
        (PgType::Int2, vec![0x7f, 0xff]),
        (PgType::Int4, 7_i32.to_be_bytes().to_vec()),
        (PgType::Int8, i64::MIN.to_be_bytes().to_vec()),
        (PgType::Float4, f32::NAN.to_be_bytes().to_vec()),
        (PgType::Float8, (-0.0_f64).to_be_bytes().to_vec()),
        (PgType::Numeric(None), vec![0, 1, 0, 0, 0, 0, 0, 0, 0x27, 0x0f]),
        (PgType::Numeric(Some((5, 2))), vec![0; 8]),
        (PgType::Text, text()),
        (PgType::Varchar(3), text()),
        (PgType::Char(3), text()),
        (PgType::TextLike("mood".to_owned()), text()),
        (PgType::Bytea, Vec::new()),
        (PgType::Uuid, vec![9; 16]),
        (PgType::Json, b"{}".to_vec()),
        (PgType::Jsonb, b"\x01{}".to_vec()),
        (PgType::Date, i32::MAX.to_be_bytes().to_vec()),
        (PgType::Time, 0_i64.to_be_bytes().to_vec()),
        (PgType::Timestamp, i64::MAX.to_be_bytes().to_vec()),
        (PgType::TimestampTz, 0_i64.to_be_bytes().to_vec()),
    ]
}

// Two rows with a value of every type, and one of NULLs.
fn copy(table: &TablePlan) -> InMemory<'_> {
    let fields: Vec<Option<Vec<u8>>> = every_type().into_iter().map(|(_, field)| Some(field)).collect();
    let row = |n: i64, fields: Vec<Option<Vec<u8>>>| {
        std::iter::once(Some(n.to_be_bytes().to_vec())).chain(fields).collect::<Vec<_>>()
    };
    let rows = vec![row(1, fields.clone()), row(2, fields.clone()), row(3, vec![None; fields.len()])];
    InMemory { table, rows, before: Vec::new() }
}

fn of_every_type() -> TablePlan {
    table(&every_type().into_iter().map(|(pg_type, _)| pg_type).collect::<Vec<_>>())
}

#[test]
fn every_type_is_changed_and_every_change_is_found() {
    let table = of_every_type();
    // A change for each type, and: cleared, filled, swapped, deleted, doubled.
    assert_eq!(test(&mut copy(&table), &table).expect("it sees"), every_type().len() as u32 + 5);
}

#[test]
fn a_row_alone_has_room_for_fewer_changes_and_none_for_none() {
    let table = table(&[PgType::Bool]);
    let mut one = InMemory {
        table: &table,
        rows: vec![vec![Some(1_i64.to_be_bytes().to_vec()), Some(vec![0])]],
        before: Vec::new(),
    };
    assert_eq!(test(&mut one, &table).expect("it sees"), 4);
    let mut none = InMemory { table: &table, rows: Vec::new(), before: Vec::new() };
    assert_eq!(test(&mut none, &table).expect("nothing to see"), 0);
}

// What a broken reader does to the forms of a copy.
struct Broken<'a, F: FnMut(Vec<Form>) -> Vec<Form>>(InMemory<'a>, F);

impl<F: FnMut(Vec<Form>) -> Vec<Form>> Scratch for Broken<'_, F> {
    fn each(&mut self, row: &mut dyn FnMut(&Form) -> Result<()>) -> Result<()> {
        let mut forms = Vec::new();
        self.0.each(&mut |form| {
            forms.push(form.clone());
            Ok(())
        })?;
        (self.1)(forms).iter().try_for_each(row)
    }

    fn plant(&mut self, change: Change) -> Result<bool> {
        self.0.plant(change)
    }

    fn undo(&mut self) -> Result<()> {
        self.0.undo()
    }
}

#[track_caller]
fn check_broken(read: impl FnMut(Vec<Form>) -> Vec<Form>, expect: &str) {
    let table = of_every_type();
    let error = test(&mut Broken(copy(&table), read), &table).expect_err(expect);
    assert_eq!(error.kind(), ErrorKind::Bug);
    assert!(error.message().contains("the verifier is broken"), "{error:?}");
    let told = format!("{error:?}");
    assert!(told.contains(expect), "{told}\nlacks: {expect}");
}

// The form with cell `i` written by `write`, the others as they are.
fn with_cell(form: &Form, i: usize, write: impl Fn(&[u8], &mut Vec<u8>)) -> Form {
    let mut bytes = Vec::new();
    for (at, cell) in form::cells(form.bytes()).enumerate() {
        if at == i { write(cell, &mut bytes) } else { bytes.extend_from_slice(cell) }
    }
    let mut out = Form::default();
    out.append(&bytes);
    out
}

#[test]
fn a_reader_that_does_not_see_a_column_is_found_out() {
    for (i, (pg_type, _)) in every_type().into_iter().enumerate() {
        let blind = |forms: Vec<Form>| forms.iter().map(|f| with_cell(f, i + 1, |_, out| out.push(0))).collect();
        // Where the column reads as NULL throughout, nothing can be planted in it in the first place: the copy is
        // unequal to what was planted elsewhere only. So the blindness begins after the first reading.
        let mut readings = 0;
        let later = |forms: Vec<Form>| {
            readings += 1;
            if readings == 1 { forms } else { blind(forms) }
        };
        check_broken(later, "not found");
        let mut first: Option<Vec<Form>> = None;
        let stuck = |forms: Vec<Form>| {
            let first = first.get_or_insert_with(|| forms.clone());
            let cell = |row: usize| form::cells(first[row.min(2)].bytes()).nth(i + 1).unwrap_or(&[0]).to_vec();
            forms.iter().enumerate().map(|(n, f)| with_cell(f, i + 1, |_, out| out.extend(cell(n)))).collect()
        };
        check_broken(stuck, &format!("a changed cell of `c{i}` ({pg_type})"));
    }
}

#[test]
fn a_reader_that_loses_or_repeats_rows_is_found_out() {
    check_broken(|forms| forms.into_iter().take(3).chain([]).collect(), "a row that is there twice");
    let mut whole: Option<Vec<Form>> = None;
    let refill = |mut forms: Vec<Form>| {
        let whole = whole.get_or_insert_with(|| forms.clone());
        if forms.len() == 2 {
            forms.push(whole[2].clone());
        }
        forms
    };
    check_broken(refill, "a deleted row");
}

#[test]
fn a_copy_that_changes_by_itself_is_found_out() {
    let mut readings = 0;
    // The number of changes that are planted, and the two readings around them.
    let last = every_type().len() + 5 + 2;
    let late = |mut forms: Vec<Form>| {
        readings += 1;
        if readings == last {
            forms.pop();
        }
        forms
    };
    check_broken(late, "the copy differs from itself");
}
