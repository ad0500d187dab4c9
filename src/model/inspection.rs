//! What an inspection of a source finds: its tables under the plan, hazards, what needs a hand, a grade, a prediction.
//!
//! Pure values, and the rule by which the grade follows from them.

use super::plan::Plan;
use super::profile::TableProfile;
use serde::Serialize;
use std::fmt;

/// Everything that was found out about a source without a server.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// The source as it was given.
    pub source: String,
    /// Bytes of the file.
    pub bytes: u64,
    /// Bytes of a page.
    pub page_size: u32,
    /// `PRAGMA encoding`
    pub encoding: String,
    /// How the source was held still.
    pub snapshot: String,
    /// Whether every row was read; otherwise only a sample of the tables whose profile is not complete.
    pub is_full: bool,
    /// Frameworks and tools whose bookkeeping tables are there.
    pub frameworks: Vec<Framework>,
    /// What a migration would make of it.
    pub plan: Plan,
    /// The evidence behind the plan, table by table.
    pub profiles: Vec<TableProfile>,
    /// What may surprise.
    pub hazards: Vec<Hazard>,
    /// What a migration leaves to a person.
    pub by_hand: Vec<ByHand>,
    /// How much of it there is.
    pub grade: Grade,
    /// What a migration would take.
    pub forecast: Forecast,
    /// The command to go on with.
    pub next: String,
    /// What that command does.
    pub next_does: String,
}

/// A framework or tool, known by its bookkeeping table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Framework {
    /// Its name.
    pub name: &'static str,
    /// The table that it was known by.
    pub table: String,
    /// Rows of that table: migrations that were applied, nearly always.
    pub entries: u64,
    /// The command that creates the schema by it on PostgreSQL, where there is one command.
    pub creates_schema: Option<&'static str>,
}

/// Something that may surprise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hazard {
    /// What kind.
    pub kind: HazardKind,
    /// The table, `table.column` or index.
    pub object: String,
    /// What it is, in words; never with a row's value.
    pub text: String,
    /// Rows that were seen, where rows are what it is about.
    pub rows: Option<u64>,
}

/// The kinds of hazards, in the order in which they are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HazardKind {
    /// SQLite's own check of the file finds it damaged.
    Damaged,
    /// Rows whose foreign key leads nowhere.
    Orphans,
    /// NULL in a primary key.
    NullKeys,
    /// NULL where NOT NULL was declared.
    Nulls,
    /// Values of several storage classes in one column.
    MixedTypes,
    /// A declared type that no value keeps to.
    DeclaredType,
    /// Texts with a NUL in them.
    Nul,
    /// Texts that are no UTF-8.
    BadUtf8,
    /// Values that the declared length, precision or an `integer` of 32 bits does not hold.
    Overflow,
    /// Times in several spellings, or that are none.
    TimeFormats,
    /// Times without a zone.
    TimeZones,
    /// A collation that only the application has, or that sorts otherwise on the server.
    Collations,
    /// Texts that are equal under NOCASE, and are not in PostgreSQL.
    CaseTwins,
    /// Names that are changed: 63 bytes, collisions, PostgreSQL's own.
    Names,
    /// Names that PostgreSQL takes in quotes only.
    QuotedNames,
    /// Integers that are 0 or 1 only.
    Booleans,
    /// What else the plan warns of.
    Other,
}

impl HazardKind {
    /// The words for people.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Damaged => "damaged",
            Self::Orphans => "orphans",
            Self::NullKeys => "NULL in keys",
            Self::Nulls => "NULL in NOT NULL",
            Self::MixedTypes => "mixed types",
            Self::DeclaredType => "declared type",
            Self::Nul => "NUL in text",
            Self::BadUtf8 => "bad UTF-8",
            Self::Overflow => "too large",
            Self::TimeFormats => "time formats",
            Self::TimeZones => "time zones",
            Self::Collations => "collations",
            Self::CaseTwins => "NOCASE twins",
            Self::Names => "renamed",
            Self::QuotedNames => "quoted names",
            Self::Booleans => "0 and 1",
            Self::Other => "other",
        }
    }

    /// Minutes that a person takes to look at one and to decide.
    #[must_use]
    pub const fn minutes(self) -> u32 {
        match self {
            Self::Damaged => 240,
            Self::Orphans | Self::NullKeys | Self::CaseTwins | Self::QuotedNames | Self::Collations => 15,
            Self::MixedTypes | Self::TimeFormats | Self::BadUtf8 | Self::Nul | Self::DeclaredType => 10,
            Self::Overflow | Self::Nulls | Self::Names | Self::Other => 5,
            // What happens is right unless somebody knows better.
            Self::TimeZones | Self::Booleans => 0,
        }
    }
}

/// Something that a migration does not carry over, and that a person has to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ByHand {
    /// What kind.
    pub kind: HandKind,
    /// The object.
    pub object: String,
    /// Why, in words.
    pub text: String,
    /// SQL to begin with.
    pub sql: Option<String>,
}

/// The kinds of what needs a hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HandKind {
    /// A table whose rows stay behind: SQLite does not understand it, or PostgreSQL has no room for its columns.
    Table,
    /// A virtual table: its module is SQLite's.
    VirtualTable,
    /// A trigger.
    Trigger,
    /// A view.
    View,
    /// An index, a check, a default, a foreign key, a generated column: a line of SQL.
    Definition,
}

impl HandKind {
    /// The words for people.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::VirtualTable => "virtual table",
            Self::Trigger => "trigger",
            Self::View => "view",
            Self::Definition => "definition",
        }
    }

    /// Minutes that a person takes for one.
    #[must_use]
    pub const fn minutes(self) -> u32 {
        match self {
            Self::Table => 240,
            Self::VirtualTable => 120,
            Self::Trigger => 60,
            Self::View => 30,
            Self::Definition => 15,
        }
    }

    // What it makes of the grade's number.
    const fn level(self) -> u8 {
        match self {
            Self::Table => 5,
            Self::VirtualTable | Self::Trigger | Self::View => 4,
            Self::Definition => 3,
        }
    }
}

/// How much is left to a person: a letter for the effort, a number for what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Grade {
    /// `A` up to an hour, `B` up to a day of eight, `C` beyond.
    pub effort: char,
    /// 1 nothing, 2 decisions to look at, 3 definitions to add, 4 objects to write anew, 5 tables that stay behind.
    pub hand: u8,
    /// The minutes behind the letter.
    pub minutes: u32,
}

/// Minutes up to which the letters A and B go.
const EFFORT_MINUTES: [u32; 2] = [60, 480];

impl Grade {
    /// The grade of what was found: the sum of all minutes, and the worst of all kinds.
    #[must_use]
    pub fn of(hazards: &[Hazard], by_hand: &[ByHand]) -> Self {
        let looks: u32 = hazards.iter().map(|h| h.kind.minutes()).sum();
        let minutes = looks + by_hand.iter().map(|b| b.kind.minutes()).sum::<u32>();
        let damaged = hazards.iter().any(|h| h.kind == HazardKind::Damaged);
        let worst = by_hand.iter().map(|b| b.kind.level()).max();
        let hand = match worst {
            _ if damaged => 5,
            Some(worst) => worst,
            None => 1 + u8::from(looks > 0),
        };
        let [a, b] = EFFORT_MINUTES;
        let effort = if minutes <= a {
            'A'
        } else if minutes <= b {
            'B'
        } else {
            'C'
        };
        Self { effort, hand, minutes }
    }

    /// What the number stands for.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self.hand {
            1 => "nothing is left to a person",
            2 => "decisions to look at",
            3 => "definitions to add by hand",
            4 => "objects to write anew",
            _ => "rows that stay behind as they are",
        }
    }
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.effort, self.hand)
    }
}

/// What a migration would take, by rates that were measured elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Forecast {
    /// Time at the rates of the machine that they were measured on.
    pub ms: u64,
    /// Bytes of the tables on the target, large values not yet compressed.
    pub table_bytes: u64,
    /// Bytes of keys and indexes.
    pub index_bytes: u64,
}

impl Forecast {
    /// All that the target needs at rest.
    #[must_use]
    pub const fn disk_bytes(&self) -> u64 {
        self.table_bytes + self.index_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hazard(kind: HazardKind) -> Hazard {
        Hazard { kind, object: "t.c".to_owned(), text: String::new(), rows: None }
    }

    fn hand(kind: HandKind) -> ByHand {
        ByHand { kind, object: "o".to_owned(), text: String::new(), sql: None }
    }

    #[test]
    fn the_grade_is_the_sum_of_minutes_and_the_worst_of_kinds() {
        use HandKind::{Definition, Table, Trigger, View};
        use HazardKind::{Booleans, Damaged, MixedTypes, Orphans};
        let grade = |hazards: &[HazardKind], hands: &[HandKind]| {
            let hazards: Vec<Hazard> = hazards.iter().map(|k| hazard(*k)).collect();
            let hands: Vec<ByHand> = hands.iter().map(|k| hand(*k)).collect();
            Grade::of(&hazards, &hands).to_string()
        };
        assert_eq!(grade(&[], &[]), "A1");
        assert_eq!(grade(&[Booleans], &[]), "A1");
        assert_eq!(grade(&[MixedTypes], &[]), "A2");
        assert_eq!(grade(&[Orphans], &[Definition]), "A3");
        assert_eq!(grade(&[], &[Trigger]), "A4");
        assert_eq!(grade(&[MixedTypes], &[Trigger]), "B4");
        assert_eq!(grade(&[], &[Table]), "B5");
        assert_eq!(grade(&[], &[Table, Table, View]), "C5");
        assert_eq!(grade(&[Damaged], &[Definition]), "B5");
    }
}
