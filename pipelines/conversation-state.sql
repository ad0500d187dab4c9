-- Conversations, their messages, what was in their memory, and all that has no column of its own.

CREATE TABLE conversation_states (
    conversation_id uuid PRIMARY KEY,
    user_id         text,
    user_input      text,
    focus           jsonb,
    step_count      bigint,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz
);

CREATE TABLE conversation_messages (
    conversation_id uuid NOT NULL REFERENCES conversation_states ON DELETE CASCADE,
    message_order   integer NOT NULL,
    role            text,
    content         text,
    tool_name       text,
    sent_at         timestamptz,
    PRIMARY KEY (conversation_id, message_order)
);

CREATE TABLE memory_context_items (
    conversation_id uuid NOT NULL REFERENCES conversation_states ON DELETE CASCADE,
    item_order      integer NOT NULL,
    source          text,
    content         text,
    relevance_score double precision,
    focus_area      text,
    PRIMARY KEY (conversation_id, item_order)
);

-- A key of the state, of a message or of an item that no column holds exactly; or a whole message or item that is no object.
CREATE TABLE memory_metadata (
    conversation_id uuid NOT NULL REFERENCES conversation_states ON DELETE CASCADE,
    place           text NOT NULL CHECK (place IN ('state', 'message', 'whole message', 'item', 'whole item')),
    item_order      integer NOT NULL,
    key             text NOT NULL,
    value           jsonb NOT NULL,
    PRIMARY KEY (conversation_id, place, item_order, key)
);

-- The states as they were: what the new tables are compared with, until nobody needs the way back.
CREATE TABLE conversation_originals (
    conversation_id uuid PRIMARY KEY REFERENCES conversation_states ON DELETE CASCADE,
    state           jsonb NOT NULL
);
