-- Takes the tables for e-mails and their types away again, children first. The dump in backups/ is the other way back.
DROP TABLE IF EXISTS "conversation_history";
DROP TABLE IF EXISTS "email_templates";
DROP TABLE IF EXISTS "emails";
DROP TYPE IF EXISTS "Direction";
DROP TYPE IF EXISTS "TemplateType";
DROP TYPE IF EXISTS "EmailStatus";
