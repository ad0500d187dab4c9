//! The tables that changes are tried on: every type, and every shape of a key.

use super::chance::Chance;
use super::support::oracle::Held;
use rusqlite::{Connection, params_from_iter};

/// A table of the source, and of the target where an app made it before.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub name: &'static str,
    /// Key columns with their declared types in SQLite.
    pub key: &'static [(&'static str, &'static str, Key)],
    /// What follows the columns.
    pub constraint: &'static str,
    pub suffix: &'static str,
    pub columns: &'static [Column],
    /// Columns that SQLite computes.
    pub generated: &'static str,
    /// `CREATE TABLE` columns on the target, where it is there before the rows.
    pub existing: Option<&'static str>,
    pub rows: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    Number,
    Word,
    /// A word that may be NULL: no key on the target.
    Loose,
    Uuid,
}

/// A column: its name, its declared type in SQLite, what it holds.
#[derive(Debug, Clone, Copy)]
pub struct Column(pub &'static str, pub &'static str, pub Holds);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    Flag,
    Small,
    Integer,
    Real,
    Single,
    Cents,
    Decimal,
    Limited,
    Word,
    Short,
    Dirty,
    Bytes,
    Uuid,
    Document,
    Exact,
    Day,
    Clock,
    Moment,
    WallClock,
    Mood,
    LongText,
    LongBytes,
}

use Holds::*;

const EVERYTHING: &[Column] = &[
    Column("flag", "BOOLEAN", Flag),
    Column("n", "INTEGER", Integer),
    Column("r", "REAL", Real),
    Column("price", "DECIMAL(12,2)", Cents),
    Column("amount", "NUMERIC", Real),
    Column("t", "TEXT", Word),
    Column("t2", "TEXT", Word),
    Column("b", "BLOB", Bytes),
    Column("u", "UUID", Uuid),
    Column("doc", "JSON", Document),
    Column("day", "DATE", Day),
    Column("clock", "TIME", Clock),
    Column("at", "DATETIME", Moment),
];

const APPS: &[Column] = &[
    Column("flag", "BOOLEAN", Flag),
    Column("i2", "INTEGER", Small),
    Column("i4", "INTEGER", Small),
    Column("i8", "INTEGER", Integer),
    Column("f4", "REAL", Single),
    Column("f8", "REAL", Real),
    Column("num", "TEXT", Decimal),
    Column("lim", "TEXT", Limited),
    Column("v", "TEXT", Short),
    Column("c", "TEXT", Short),
    Column("ci", "TEXT", Word),
    Column("mood", "TEXT", Mood),
    Column("b", "BLOB", Bytes),
    Column("u", "TEXT", Uuid),
    Column("j", "TEXT", Exact),
    Column("jb", "TEXT", Document),
    Column("day", "TEXT", Day),
    Column("clock", "TEXT", Clock),
    Column("wall", "TEXT", WallClock),
    Column("at", "TEXT", Moment),
    Column("dom", "TEXT", Word),
];

const APPS_THERE: &str = "flag boolean, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8, num numeric, \
    lim numeric(12,3), v varchar(12), c char(12), ci CITEXT, mood mood, b bytea, u uuid, j json, jb jsonb, day date, \
    clock time, wall timestamp, at timestamptz, dom word";

/// What the app's tables need.
pub const APPS_TYPES: &str = "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy', 'HAPPY'); CREATE DOMAIN word AS text;";

const LARGE: &[Column] =
    &[Column("t", "TEXT", LongText), Column("b", "BLOB", LongBytes), Column("n", "INTEGER", Integer)];

const NATURAL: Shape = Shape {
    name: "",
    key: &[],
    constraint: "",
    suffix: "",
    columns: EVERYTHING,
    generated: "",
    existing: None,
    rows: 32,
};

pub const SHAPES: [Shape; 13] = [
    Shape { name: "numbered", key: &[("id", "INTEGER PRIMARY KEY", Key::Number)], ..NATURAL },
    Shape { name: "named", key: &[("k", "TEXT PRIMARY KEY NOT NULL", Key::Word)], ..NATURAL },
    Shape {
        name: "paired",
        key: &[("a", "INTEGER NOT NULL", Key::Number), ("k", "TEXT NOT NULL", Key::Word)],
        constraint: ", PRIMARY KEY (a, k)",
        ..NATURAL
    },
    Shape {
        name: "rowidless",
        key: &[("k", "TEXT NOT NULL", Key::Word), ("a", "INTEGER NOT NULL", Key::Number)],
        constraint: ", PRIMARY KEY (k, a)",
        suffix: "WITHOUT ROWID",
        ..NATURAL
    },
    Shape { name: "keyless", ..NATURAL },
    Shape { name: "loose", key: &[("k", "TEXT PRIMARY KEY", Key::Loose)], ..NATURAL },
    Shape { name: "uuids", key: &[("k", "UUID PRIMARY KEY NOT NULL", Key::Uuid)], ..NATURAL },
    Shape {
        name: "computed",
        key: &[("id", "INTEGER PRIMARY KEY", Key::Number)],
        generated: ", louder TEXT GENERATED ALWAYS AS (t || '!') STORED, twice INTEGER GENERATED ALWAYS AS (length(t2) * 2) VIRTUAL",
        ..NATURAL
    },
    Shape {
        name: "dirty",
        key: &[("id", "INTEGER PRIMARY KEY", Key::Number)],
        columns: &[Column("t", "TEXT", Dirty), Column("t2", "VARCHAR(9)", Dirty), Column("n", "INTEGER", Integer)],
        ..NATURAL
    },
    Shape { name: "large", key: &[("id", "INTEGER PRIMARY KEY", Key::Number)], columns: LARGE, rows: 10, ..NATURAL },
    Shape {
        name: "app_numbered",
        key: &[("id", "INTEGER PRIMARY KEY", Key::Number)],
        columns: APPS,
        existing: Some("id int8 PRIMARY KEY, "),
        ..NATURAL
    },
    Shape {
        name: "app_paired",
        key: &[("a", "INTEGER NOT NULL", Key::Number), ("k", "TEXT NOT NULL", Key::Word)],
        constraint: ", PRIMARY KEY (a, k)",
        columns: APPS,
        existing: Some("a int4, k varchar(40), PRIMARY KEY (a, k), "),
        ..NATURAL
    },
    Shape { name: "app_keyless", columns: APPS, existing: Some(""), ..NATURAL },
];

impl Shape {
    /// Whether rows of one key can be told apart from others on the target.
    pub fn has_key(&self) -> bool {
        self.key.iter().any(|(_, _, kind)| *kind != Key::Loose)
    }

    pub fn table(&self, copy: usize) -> String {
        format!("{}_{copy}", self.name)
    }

    /// The statement that makes a copy on the target, where an app would have.
    pub fn there(&self, copy: usize, citext: &str) -> Option<String> {
        let columns = APPS_THERE.replace("CITEXT", citext);
        self.existing.map(|key| format!("CREATE TABLE {} ({key}{columns});", self.table(copy)))
    }

    /// Makes a copy in SQLite, with rows.
    pub fn fill(&self, db: &Connection, copy: usize, chance: &mut Chance) {
        let of_key = self.key.iter().map(|(name, declared, _)| format!("{name} {declared}"));
        let columns: Vec<String> =
            of_key.chain(self.columns.iter().map(|Column(name, declared, _)| format!("{name} {declared}"))).collect();
        let table = self.table(copy);
        let Self { generated, constraint, suffix, .. } = self;
        let sql = format!("CREATE TABLE {table} ({}{generated}{constraint}) {suffix}", columns.join(", "));
        db.execute_batch(&sql).unwrap_or_else(|e| panic!("{e}\n{sql}"));
        let places = vec!["?"; columns.len()].join(", ");
        let names = self.key.iter().map(|(name, _, _)| *name).chain(self.columns.iter().map(|c| c.0));
        let sql = format!("INSERT INTO {table} ({}) VALUES ({places})", names.collect::<Vec<_>>().join(", "));
        let mut insert = db.prepare(&sql).expect("an insert");
        for row in 0..self.rows {
            let key = self.key.iter().map(|(_, _, kind)| key(*kind, row));
            let cells: Vec<Held> = key.chain(self.columns.iter().map(|c| cell(c.2, row, chance))).collect();
            insert.execute(params_from_iter(&cells)).expect("a row");
            // A table without a key has rows twice.
            if self.key.is_empty() && row % 8 == 7 {
                insert.execute(params_from_iter(&cells)).expect("the same row");
            }
        }
    }
}

fn key(kind: Key, row: usize) -> Held {
    match kind {
        Key::Number => Held::Integer(row as i64 * 3 + 1),
        Key::Loose if row == 5 => Held::Null,
        Key::Word | Key::Loose => text(format!("key {row}{}", ["", " ", "'", "é", "Ä,"][row % 5])),
        Key::Uuid => text(format!("0b0c4c2e-7b1e-4d1a-9a43-{row:012x}")),
    }
}

fn text(text: impl Into<String>) -> Held {
    Held::Text(text.into().into_bytes())
}

const WORDS: [&str; 14] =
    ["", " ", "a", "Aa", "aA", "ab ", "NULL", "<null>", "é", "e\u{301}", "naïve", "tab\there", "it's", "😀|x"];

fn cell(holds: Holds, row: usize, chance: &mut Chance) -> Held {
    // The first rows tell the type; later ones may have nothing.
    if row > 2 && chance.one_in(8) {
        return Held::Null;
    }
    let bits = chance.number();
    match holds {
        Flag => Held::Integer((bits & 1) as i64),
        Small => Held::Integer(*chance.pick(&[0, 1, -1, 7, 32_766, -32_767, 255, 256])),
        Integer if chance.one_in(2) => Held::Integer((bits % 100) as i64),
        Integer => Held::Integer(bits as i64 / 4 + 1),
        Real if row < 3 => Held::Real(row as f64 + 0.25),
        Real => Held::Real(*chance.pick(&[0.0, 0.1, 1e-9, 5e-7, -2.5, 1e15 + 0.3, 1e-300, 123_456.789, -0.75])),
        Single => Held::Real(f64::from(*chance.pick(&[0.0_f32, 0.5, -1.25, 1e10, 3.0e-20, 16_777_215.0]))),
        Cents => Held::Real((bits % 1_000_000) as f64 / 100.0),
        Decimal => text(*chance.pick(&[
            "0",
            "5",
            "1.10",
            "-0.000000000000000000001",
            "18446744073709551621",
            "123456789012345678901234567890.5",
            "1000",
            "1",
            "-7",
        ])),
        Limited => text(format!("{}.{:03}", bits % 1_000_000, bits % 1000)),
        Word if row < 3 => text(format!("word {bits:x}")),
        Word if chance.one_in(3) => text(*chance.pick(&WORDS)),
        Word => text(format!("{} {:x}", chance.pick(&WORDS), bits % 4096)),
        Short => text(*chance.pick(&["", "a", "Ab", "abc", "é", "x y", "<null>", "NULL"])),
        Dirty => match bits % 4 {
            0 => Held::Text(b"nul\0in".to_vec()),
            1 => Held::Text(vec![b'a', 0xff, b'b']),
            _ => text(format!("clean {bits:x}")),
        },
        Bytes => Held::Blob(bits.to_be_bytes()[..(bits % 9) as usize].to_vec()),
        Uuid => text(format!("{:08x}-7b1e-4d1a-9a43-{:012x}", bits as u32, bits >> 16)),
        Document | Exact => text(match bits % 5 {
            0 => "{}".to_owned(),
            1 => format!("[1, {}, \"x\", null, true]", bits % 1000),
            2 => {
                format!("{{\"b\": {}.50, \"aa\": [\"é\", \"\\u0041\"], \"a\": {{\"k\": \"v {bits:x}\"}}}}", bits % 100)
            }
            3 => "[[], {}, [\"\"], 1e3, -0.0]".to_owned(),
            _ => format!("{{\"id\":{bits}}}"),
        }),
        Day => text(format!("20{:02}-{:02}-{:02}", bits % 90, bits % 12 + 1, bits % 28 + 1)),
        Clock => text(format!("{:02}:{:02}:{:02}.{:06}", bits % 24, bits % 60, bits % 59, bits % 1_000_000)),
        Moment => text(format!(
            "20{:02}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}+02:00",
            bits % 90,
            bits % 12 + 1,
            bits % 28 + 1,
            bits % 24,
            bits % 60,
            bits % 59,
            bits % 1_000_000
        )),
        WallClock => {
            text(format!("20{:02}-{:02}-{:02} {:02}:00:00", bits % 90, bits % 12 + 1, bits % 28 + 1, bits % 24))
        }
        Mood => text(*chance.pick(&["sad", "ok", "happy", "HAPPY"])),
        LongText => {
            let length = [1024, 1025, 5000, 1_200_000][row % 4];
            text("é-x".chars().cycle().take(length).collect::<String>())
        }
        LongBytes => {
            let length = [1025, 1024, 1_100_000, 3000][row % 4];
            Held::Blob((0..length).map(|i| (i as u64 ^ bits) as u8).collect())
        }
    }
}
