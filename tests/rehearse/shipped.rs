//! The pipelines that ship, each rehearsed as it ships with a small source of its own.

use super::support::program::{ended, program};
use super::{all_passed, generate, json, scratch, step, told};
use generate::Source;
use serde_json::Value;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

fn rehearsed(name: &str, source: Source, scale: f64, more: &[&str]) -> Value {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = TempDir::new().expect("a folder");
    for entry in fs::read_dir(own.join("pipelines")).expect("the pipelines") {
        let entry = entry.expect("an entry");
        if entry.path().is_file() {
            fs::copy(entry.path(), dir.path().join(entry.file_name())).expect("a copy");
        }
    }
    let before = fs::read_dir(dir.path()).expect("the folder").count();
    let path = dir.path().join("source.db");
    source.write(&path, scale).expect("a source");
    let scratch = scratch();
    let mut command = program();
    command.arg("rehearse").arg("-p").arg(dir.path().join(format!("{name}.toml"))).arg("--source").arg(&path);
    command.args(["--quick", "--json"]).args(more).env("TMPDIR", scratch.path()).current_dir(own);
    let result = json(&ended(command.output().expect("the program starts")).exits(0));
    all_passed(&result, &["hook"]);
    // Neither a backup nor a list of rows stays where the pipeline says that they go.
    assert_eq!(fs::read_dir(dir.path()).expect("the folder").count(), before + 1);
    assert!(fs::read_dir(scratch.path()).expect("the folder").next().is_none());
    result
}

fn changed(result: &Value) -> String {
    told(step(result, "back_changed")).replace('\n', " ")
}

#[test]
fn agent_platform_is_rehearsed_with_new_rows_and_columns_that_sqlite_never_had() {
    let result = rehearsed("agent-platform", Source::AgentPlatform, 0.05, &[]);
    let told = changed(&result);
    assert!(told.contains("2 inserts") && told.contains("nothing is written to `agent_capabilities`"), "{told}");
    assert!(told.contains("`agents`: no row is deleted and none gets another key"), "{told}");
}

#[test]
fn conversation_state_is_rehearsed_as_far_as_states_go_back() {
    let result = rehearsed("conversation-state", Source::ConversationState, 0.05, &[]);
    let told = changed(&result);
    for words in ["nothing is written to `conversation_originals`", "`conversations`: 2 writes were left out"] {
        assert!(told.contains(words), "{words}: {told}");
    }
}

#[test]
fn tenant_consolidation_is_rehearsed_with_its_merges_one_way() {
    let result = rehearsed("tenant-consolidation", Source::TenantConsolidation, 0.05, &[]);
    let told = changed(&result);
    assert!(told.contains("nothing is written to `client_accounts`, `engagements`"), "{told}");
}

#[test]
fn enhanced_schema_is_rehearsed_without_its_own_records_and_makes_no_backup() {
    let result = rehearsed("enhanced-schema", Source::Enhanced, 0.2, &[]);
    let told = changed(&result);
    assert!(told.contains("nothing is written to `email_analysis`: the pipeline makes `emails` with it"), "{told}");
}

#[test]
fn relationhub_email_is_rehearsed_in_the_tables_that_its_application_makes() {
    rehearsed("relationhub-email", Source::RelationHub, 0.2, &["--ddl", "fixtures/postgres/relationhub.sql"]);
    // Without them there is nothing to load rows into.
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = TempDir::new().expect("a folder");
    let path = dir.path().join("source.db");
    Source::RelationHub.write(&path, 0.2).expect("a source");
    let mut command = program();
    command.arg("rehearse").arg("-p").arg(own.join("pipelines/relationhub-email.toml")).arg("--source").arg(&path);
    ended(command.output().expect("the program starts")).exits(2).says(&["a throw-away server has none", "--ddl"]);
}
