-- Once the rows are there: what points at e-mails, the indexes of the new columns, the old shape, and the record of it.
ALTER TABLE emails
    ALTER COLUMN workflow_state SET DEFAULT 'pending',
    ALTER COLUMN priority SET DEFAULT 'medium',
    ALTER COLUMN status SET DEFAULT 'yellow',
    ADD CONSTRAINT emails_priority CHECK (priority IN ('low', 'medium', 'high', 'critical')),
    ADD CONSTRAINT emails_status CHECK (status IN ('red', 'yellow', 'green'));
ALTER TABLE agent_tasks ADD CONSTRAINT agent_tasks_email FOREIGN KEY (email_id) REFERENCES emails (id) ON DELETE CASCADE;
CREATE INDEX emails_workflow ON emails (workflow_state, workflow_type);
CREATE INDEX emails_urgent ON emails (priority, received_at DESC) WHERE priority IN ('high', 'critical');

-- Readers of the old shape go on for 30 days: SET search_path = compat, public.
CREATE SCHEMA compat;
CREATE VIEW compat.emails AS
    SELECT id, thread_id, folder_id, message_id, from_address, subject, body_preview, received_at, is_read, importance,
           has_attachments, size_bytes, raw_headers
    FROM public.emails;
COMMENT ON SCHEMA compat IS 'The shape of before the enhanced schema; see the event compatibility_ends.';

INSERT INTO events (kind, payload)
    SELECT 'schema_enhanced', jsonb_build_object('emails', count(*), 'with_workflow', count(workflow_type)) FROM emails;
INSERT INTO events (kind, payload, happened_at) VALUES ('compatibility_ends', '{"schema": "compat"}', now() + interval '30 days');
INSERT INTO audit_logs (actor, action, object, details)
    SELECT current_user, 'migrate', 'emails', jsonb_build_object('rows', (SELECT count(*) FROM emails), 'analyzed', (SELECT count(*) FROM email_analysis));
