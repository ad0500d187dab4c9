-- The keys between the tables of the clean schema, and an index by tenant on each.

ALTER TABLE engagements ADD FOREIGN KEY (client_account_id) REFERENCES client_accounts (id);
ALTER TABLE data_imports
    ALTER client_account_id SET NOT NULL, ALTER engagement_id SET NOT NULL,
    ADD FOREIGN KEY (client_account_id) REFERENCES client_accounts (id),
    ADD FOREIGN KEY (engagement_id) REFERENCES engagements (id),
    ADD FOREIGN KEY (master_flow_id) REFERENCES crewai_flow_state_extensions (flow_id);
ALTER TABLE discovery_flows
    ALTER client_account_id SET NOT NULL, ALTER engagement_id SET NOT NULL,
    ADD FOREIGN KEY (client_account_id) REFERENCES client_accounts (id),
    ADD FOREIGN KEY (engagement_id) REFERENCES engagements (id),
    ADD FOREIGN KEY (master_flow_id) REFERENCES crewai_flow_state_extensions (flow_id);
ALTER TABLE assets
    ALTER client_account_id SET NOT NULL, ALTER engagement_id SET NOT NULL,
    ADD FOREIGN KEY (client_account_id) REFERENCES client_accounts (id),
    ADD FOREIGN KEY (engagement_id) REFERENCES engagements (id);
ALTER TABLE import_field_mappings ADD FOREIGN KEY (data_import_id) REFERENCES data_imports (id);
ALTER TABLE raw_import_records    ADD FOREIGN KEY (data_import_id) REFERENCES data_imports (id);

CREATE INDEX data_imports_tenant    ON data_imports (client_account_id, engagement_id);
CREATE INDEX discovery_flows_tenant ON discovery_flows (client_account_id, engagement_id);
CREATE INDEX assets_tenant          ON assets (client_account_id, engagement_id);
