//! What takes a value's place by policy: a column's default, as the server works it out.

use super::decode::Rows;
use super::session::{Session, Transaction};
use crate::error::{Error, Kind, Result};
use crate::model::name::{for_shell, qualified};
use crate::model::plan::{ColumnPlan, TablePlan};

/// The default of a column as a field of a binary COPY; none where it is NULL or there is none.
///
/// A default that gives another value each time (a sequence, a random uuid) is [`Kind::Blocked`]: one value would take
/// the place of many.
pub fn field(
    tx: &mut Transaction<'_>,
    schema: &str,
    table: &TablePlan,
    column: &ColumnPlan,
) -> Result<Option<Vec<u8>>> {
    let expression = if table.existing {
        of_existing(tx, schema, table, column)?
    } else {
        column.default.clone().map(|default| format!("({default})::{}", column.pg_type))
    };
    let Some(expression) = expression else { return Ok(None) };
    // The stage that rows of such columns come through holds their texts.
    let expression = if column.cast().is_some() { format!("({expression})::text") } else { expression };
    let name = format!("{}.{}", table.target, column.target);
    if expression.contains("nextval(") {
        return Err(changing(&name));
    }
    // now() stands still within a statement; what does not is no default to be repeated.
    let sql = format!("COPY (SELECT {expression}, {expression}) TO STDOUT (FORMAT binary)");
    let mut copy = tx.copy_out(&sql).map_err(|e| e.context(format!("the default of `{name}` cannot be asked for")))?;
    let (mut rows, mut found) = (Rows::default(), None);
    while let Some(piece) = copy.next()? {
        rows.feed(&piece, |mut fields| {
            let owned = |field: Option<Option<&[u8]>>| field.flatten().map(<[u8]>::to_vec);
            found = Some((owned(fields.next()), owned(fields.next())));
            Ok(())
        })?;
    }
    rows.finish()?;
    match found {
        Some((once, again)) if once == again => Ok(once),
        _ => Err(changing(&name)),
    }
}

fn of_existing(session: &Session, schema: &str, table: &TablePlan, column: &ColumnPlan) -> Result<Option<String>> {
    let sql = "SELECT CASE WHEN a.attidentity <> '' THEN 'nextval(identity)' \
                      ELSE format('(%s)::%s', pg_get_expr(d.adbin, d.adrelid), format_type(a.atttypid, a.atttypmod)) END \
               FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
               WHERE a.attrelid = $1::text::regclass AND a.attname = $2 AND (d.oid IS NOT NULL OR a.attidentity <> '')";
    let row = session.query_opt(sql, &[&qualified(schema, &table.target), &column.target])?;
    Ok(row.map(|row| row.get(0)))
}

fn changing(name: &str) -> Error {
    Error::new(Kind::Blocked, format!("the default of `{name}` gives another value each time"))
        .fact("`--on-error …=default` would put one of them into every row that breaks the rule")
        .state("nothing was written")
        .hint(format!("--on-error {}, or reject", for_shell(&format!("{name}=null"))))
}
