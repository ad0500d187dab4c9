//! The way back of tables that a pipeline makes of others: by the SELECTs that it states, checked by making them again.

use super::pipelines::Through;
use super::support::contents::same;
use std::fs;

const POSTS: &str = "
    CREATE TABLE post (id INTEGER PRIMARY KEY, title TEXT, tags TEXT);
    INSERT INTO post VALUES (1, 'one', '[\"a\", \"b\"]'), (2, 'two', '[ \"b\" ]'), (3, 'three', '[]'), (4, 'four', NULL);";

/// The list goes back from its rows, in their order; that of a post without any is an empty one, where it was a list.
const TAGS: &str = r#"
[[table]]
from = "post"
[table.columns]
tags = { skip = true }
[[table]]
query = "SELECT p.id AS post, j.key AS place, j.value AS tag FROM post p, json_each(p.tags) j"
key = ["post", "place"]
to = "tag"
[table.inverse]
post = """
SELECT p.id, iif(p.tags IS NULL AND count(t.tag) = 0, NULL, json_group_array(t.tag ORDER BY t.place) FILTER (WHERE t.tag IS NOT NULL)) AS tags
FROM post p LEFT JOIN tag t ON t.post = p.id GROUP BY p.id"""
"#;

fn told(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn rows_of_a_list_become_the_list_again_and_lists_that_nobody_changed_keep_their_spelling() {
    let stage = Through::new(POSTS, TAGS);
    stage.comes_back_as("SELECT 1");
    stage.pg(
        "INSERT INTO tag VALUES (1, 2, 'c'), (4, 0, 'x'); DELETE FROM tag WHERE post = 2; UPDATE post SET title = 'Eins' WHERE id = 1;
         INSERT INTO post VALUES (5, 'five'); INSERT INTO tag VALUES (5, 0, 'n')",
    );
    stage.comes_back_as(
        "UPDATE post SET tags = '[\"a\",\"b\",\"c\"]', title = 'Eins' WHERE id = 1; UPDATE post SET tags = '[]' WHERE id = 2;
         UPDATE post SET tags = '[\"x\"]' WHERE id = 4; INSERT INTO post VALUES (5, 'five', '[\"n\"]')",
    );
    let ran = stage.back(&[]).exits(0);
    let ran = ran.says(&["went back into `post` by its `inverse`: 4 rows updated, 0 inserted, 0 deleted there"]);
    assert!(told(&ran.stdout).contains("verified: every cell of"), "{}", ran.stdout);
    let plan = told(&stage.plan(&[]).stdout);
    assert!(plan.contains("way back: with exceptions goes back into `post` by its `inverse`"), "{plan}");
}

#[test]
fn what_an_inverse_does_not_give_back_is_refused_and_exported_and_nothing_of_it_stays() {
    let stage = Through::new(POSTS, TAGS);
    // Places with a gap are none that a list has.
    stage.pg("INSERT INTO tag VALUES (1, 7, 'c'); UPDATE post SET title = 'zwei' WHERE id = 2");
    let ran = stage.back(&[]).exits(3);
    let words = "`tag`, 4: PostgreSQL changed the table, which has no way back: what its `inverse` gives, read through the \
                 pipeline again, is not what PostgreSQL holds";
    assert!(told(&ran.stdout).contains(words), "{}", ran.stdout);
    assert!(!stage.to().exists());
    let folder = stage.path.with_file_name("unmappable");
    stage.back(&["--export-unmappable", folder.to_str().expect("a path")]).exits(4);
    same(&stage.to(), &stage.mirror("UPDATE post SET title = 'zwei' WHERE id = 2"));
    assert!(fs::read_to_string(folder.join("tag.csv")).expect("the rows").contains("1,7,c"));
    stage.back(&["--leave", "tag"]).exits(0);
    same(&stage.to(), &stage.mirror("UPDATE post SET title = 'zwei' WHERE id = 2"));
}

#[test]
fn a_table_that_comes_to_the_same_by_what_went_back_into_others_needs_no_inverse() {
    let stage = Through::new(POSTS, &TAGS.replace("tags = { skip = true }", "title = { to = \"name\" }"));
    let shape = fs::read_to_string(&stage.pipeline).expect("the pipeline");
    fs::write(&stage.pipeline, shape.split("[table.inverse]").next().expect("the rest")).expect("the pipeline");
    stage.pg("UPDATE post SET tags = '[\"a\"]' WHERE id IN (1, 3); DELETE FROM tag WHERE post = 1 AND place = 1; INSERT INTO tag VALUES (3, 0, 'a')");
    stage.comes_back_as("UPDATE post SET tags = '[\"a\"]' WHERE id IN (1, 3)");
    stage.back(&[]).exits(0).says(&["`tag`: is made again of the rows that went back, and is what PostgreSQL holds"]);
    stage.pg("DELETE FROM tag WHERE post = 3").back(&[]).exits(3);
}

const CHATS: &str = r#"
    CREATE TABLE chat (id TEXT PRIMARY KEY, state TEXT) WITHOUT ROWID;
    INSERT INTO chat VALUES ('c-1', '{"user": "ann", "messages": [{"role": "user", "text": "hi"}, {"role": "bot", "text": "1 < 2"}]}'),
        ('c-2', '{ "user":"bob", "messages":[] }'), ('c-3', '{"messages": [{"role": "bot", "text": null}], "n": 1.50}');"#;

/// Two levels of one JSON text, and ids that become uuids.
const MESSAGES: &str = r#"
[[table]]
from = "chat"
[table.columns]
id = { v5 = "chats" }
state = { skip = true }
[[table]]
query = "SELECT c.id, m.key AS n, m.value ->> 'role' AS role, m.value ->> 'text' AS text FROM chat c, json_each(c.state, '$.messages') m"
key = ["id", "n"]
to = "message"
[table.columns]
id = { v5 = "chats" }
[table.inverse]
chat = """
SELECT c.id, json_set(coalesce(c.state, '{}'), '$.messages', json(
    (SELECT json_group_array(json_object('role', m.role, 'text', m.text) ORDER BY m.n) FROM message m WHERE m.id = c.id))) AS state
FROM chat c"""
"#;

#[test]
fn messages_go_back_into_the_state_that_they_came_from_under_their_old_ids() {
    let stage = Through::new(CHATS, MESSAGES);
    stage.comes_back_as("SELECT 1");
    let id = |name: &str| format!("(SELECT new FROM lite2pg.id_map WHERE map = 'chats' AND old = '{name}' LIMIT 1)");
    stage.pg(&format!(
        "INSERT INTO message VALUES ({}, 0, 'user', 'new'); UPDATE message SET text = 'two' WHERE id = {} AND n = 1",
        id("c-2"),
        id("c-1")
    ));
    stage.comes_back_as(
        r#"UPDATE chat SET state = '{"user":"ann","messages":[{"role":"user","text":"hi"},{"role":"bot","text":"two"}]}' WHERE id = 'c-1';
           UPDATE chat SET state = '{"user":"bob","messages":[{"role":"user","text":"new"}]}' WHERE id = 'c-2'"#,
    );
}

const TWO: &str = "
    CREATE TABLE old_item (id INTEGER PRIMARY KEY, name TEXT, extra BLOB); CREATE TABLE item (id INTEGER PRIMARY KEY, label TEXT);
    INSERT INTO old_item VALUES (1, 'a', x'01'), (2, 'b', x'02'); INSERT INTO item VALUES (2, 'B'), (3, 'C'), (4, 'D');";

/// Of twins, the better table's row; new rows go into the new table.
const MERGE: &str = r#"
[[table]]
to = "item"
key = ["id"]
merge = [{ from = "item", columns = { label = "name" } }, { from = "old_item", drop = ["extra"] }]
[table.inverse]
item = "SELECT id, name AS label FROM item WHERE id IN (SELECT id FROM main.item) OR id NOT IN (SELECT id FROM old_item)"
old_item = "SELECT id, name FROM item WHERE id NOT IN (SELECT id FROM main.item) AND id IN (SELECT id FROM old_item)"
"#;

#[test]
fn merged_rows_go_back_into_the_tables_that_they_came_from() {
    let stage = Through::new(TWO, MERGE);
    stage.comes_back_as("SELECT 1");
    stage.pg(
        "UPDATE item SET name = 'A' WHERE id = 1; UPDATE item SET name = 'BB' WHERE id = 2; DELETE FROM item WHERE id = 4;
         INSERT INTO item VALUES (9, 'new')",
    );
    stage.comes_back_as(
        "UPDATE old_item SET name = 'A' WHERE id = 1; UPDATE item SET label = 'BB' WHERE id = 2; DELETE FROM item WHERE id = 4;
         INSERT INTO item VALUES (9, 'new')",
    );
    // A twin that comes to light where the better one goes is no deletion.
    stage.pg("DELETE FROM item WHERE id = 2").back(&[]).exits(3);
}

#[test]
fn a_value_or_a_row_that_sqlite_does_not_take_undoes_the_inverse() {
    for (sql, words) in [
        ("INSERT INTO item VALUES (10, NULL)", "SQLite refuses what its `inverse` gives: NOT NULL constraint failed"),
        ("UPDATE item SET at = 'infinity' WHERE id = 1", "`item.at`, 1: an infinite time"),
    ] {
        let stage = Through::new(
            "CREATE TABLE thing (id INTEGER PRIMARY KEY, name TEXT NOT NULL, at TEXT);
             INSERT INTO thing VALUES (1, 'a', '2024-01-01 10:00:00'), (2, 'b', '2024-01-02 10:00:00');",
            "[[table]]\nquery = \"SELECT id, name, at FROM thing\"\nkey = [\"id\"]\nto = \"item\"\n\
             [table.inverse]\nthing = \"SELECT id, name, at FROM item\"\n[[table]]\nfrom = \"thing\"\nskip = true",
        );
        let ran = stage.pg(sql).back(&[]).exits(3);
        assert!(told(&ran.stdout).contains(words), "{sql}: {}", ran.stdout);
        let folder = stage.path.with_file_name("unmappable");
        stage.back(&["--export-unmappable", folder.to_str().expect("a path")]).exits(4);
        same(&stage.to(), &stage.path);
    }
}

#[test]
fn mistakes_in_an_inverse_are_told_before_anything_moves() {
    let stage = Through::new(POSTS, TAGS);
    let text = fs::read_to_string(&stage.pipeline).expect("the pipeline");
    for (with, words) in [
        ("posts = \"SELECT 1\"", "the source has no table `posts`"),
        ("post = \"SELECT post AS id, never FROM tag\"", "no such column"),
        ("post = \"SELECT post AS id, tag AS wrong FROM tag\"", "gives a column `wrong` that cannot be written there"),
        ("post = \"SELECT tag AS tags FROM tag\"", "gives no `id`, by which rows are found"),
        ("post = \"DELETE FROM tag\"", "SQLite refuses the SQL of the inverse of `tag` for `post`"),
    ] {
        let head = text.split("[table.inverse]").next().expect("what comes before");
        fs::write(&stage.pipeline, format!("{head}[table.inverse]\n{with}\n")).expect("the pipeline");
        stage.back(&[]).exits(2).says(&[words]);
    }
    let own = "[[table]]\nfrom = \"post\"\n[table.inverse]\npost = \"SELECT id FROM post\"\n";
    let head = text.split("[[table]]").next().expect("the head");
    fs::write(&stage.pipeline, format!("{head}{own}")).expect("the pipeline");
    stage.back(&[]).exits(2).says(&["rows of a table go back by themselves"]);
}
