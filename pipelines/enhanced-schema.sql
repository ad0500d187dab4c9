-- What the enhanced schema has and the mail app did not: agents and their tasks, events, an audit trail, settings, keys.
-- `emails` itself comes from the pipeline; keys that point at it are added once it is there.
CREATE TABLE agents (
    id           uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name         text NOT NULL UNIQUE,
    kind         text NOT NULL CHECK (kind IN ('analysis', 'reply', 'routing', 'sync')),
    status       text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'paused', 'retired')),
    capabilities jsonb NOT NULL DEFAULT '[]',
    created_at   timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE agent_tasks (
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    agent_id    uuid REFERENCES agents ON DELETE SET NULL,
    email_id    text,
    kind        text NOT NULL,
    status      text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'running', 'done', 'failed')),
    priority    text NOT NULL DEFAULT 'medium' CHECK (priority IN ('low', 'medium', 'high', 'critical')),
    created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE agent_executions (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task_id     uuid NOT NULL REFERENCES agent_tasks ON DELETE CASCADE,
    started_at  timestamptz NOT NULL DEFAULT now(),
    ended_at    timestamptz,
    outcome     jsonb
);
CREATE TABLE agent_task_dependencies (
    task_id     uuid NOT NULL REFERENCES agent_tasks ON DELETE CASCADE,
    needs_id    uuid NOT NULL REFERENCES agent_tasks ON DELETE CASCADE,
    PRIMARY KEY (task_id, needs_id),
    CHECK (task_id <> needs_id)
);
CREATE TABLE events (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind        text NOT NULL,
    payload     jsonb NOT NULL DEFAULT '{}',
    happened_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE audit_logs (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    actor       text NOT NULL,
    action      text NOT NULL,
    object      text NOT NULL,
    details     jsonb NOT NULL DEFAULT '{}',
    logged_at   timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE settings (key text PRIMARY KEY, value jsonb NOT NULL, changed_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE api_keys (
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name        text NOT NULL,
    hash        bytea NOT NULL UNIQUE,
    expires_at  timestamptz,
    revoked     boolean NOT NULL DEFAULT false
);
CREATE INDEX agent_tasks_open ON agent_tasks (priority, created_at) WHERE status IN ('pending', 'running');
CREATE INDEX agent_executions_task ON agent_executions (task_id);
CREATE INDEX events_kind ON events (kind, happened_at DESC);
CREATE INDEX audit_logs_object ON audit_logs (object, logged_at DESC);
