-- Built once all rows are there.

CREATE INDEX idx_agents_type_status ON agents (agent_type, status);
CREATE INDEX idx_agents_last_heartbeat ON agents (last_heartbeat);
CREATE INDEX idx_tasks_status_priority ON tasks (status, priority);
CREATE INDEX idx_tasks_assigned_agent ON tasks (assigned_agent_id);
CREATE INDEX idx_tasks_workflow ON tasks (workflow_id);
CREATE INDEX idx_messages_recipient_status ON agent_messages (recipient_id, status);
CREATE INDEX idx_messages_sender_type ON agent_messages (sender_id, message_type);
CREATE INDEX idx_messages_correlation ON agent_messages (correlation_id);
CREATE INDEX idx_workflows_status ON workflows (status);
CREATE INDEX idx_workflow_executions_workflow ON workflow_executions (workflow_id);
CREATE INDEX idx_agent_capabilities_agent ON agent_capabilities (agent_id);
CREATE INDEX idx_agent_performance_agent_metric ON agent_performance (agent_id, metric_name);

-- Full-text search.
CREATE INDEX idx_tasks_search ON tasks USING gin (to_tsvector('english', title || ' ' || coalesce(description, '')));
CREATE INDEX idx_workflows_search ON workflows USING gin (to_tsvector('english', name || ' ' || coalesce(description, '')));

ANALYZE agents, tasks, agent_capabilities;
