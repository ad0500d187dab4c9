CREATE INDEX conversation_states_user ON conversation_states (user_id);
CREATE INDEX conversation_messages_role ON conversation_messages (conversation_id, role);
CREATE INDEX memory_context_items_score ON memory_context_items (conversation_id, relevance_score DESC);
CREATE INDEX memory_metadata_key ON memory_metadata (key);

-- Every state, built again from its rows. What the metadata hold is exact, so that it has the last word.
CREATE VIEW conversation_rebuilt AS
WITH of_objects AS (
    SELECT conversation_id, place, item_order, jsonb_object_agg(key, value) AS more
    FROM memory_metadata WHERE place IN ('state', 'message', 'item') GROUP BY 1, 2, 3
), messages AS (
    SELECT m.conversation_id,
           jsonb_agg(coalesce(w.value, jsonb_strip_nulls(jsonb_build_object('role', m.role, 'content', m.content, 'tool_name', m.tool_name))
                                       || coalesce(o.more, '{}')) ORDER BY m.message_order) AS list
    FROM conversation_messages m
    LEFT JOIN of_objects o ON (o.conversation_id, o.place, o.item_order) = (m.conversation_id, 'message', m.message_order)
    LEFT JOIN memory_metadata w ON (w.conversation_id, w.place, w.item_order) = (m.conversation_id, 'whole message', m.message_order)
    GROUP BY 1
), items AS (
    SELECT i.conversation_id,
           jsonb_agg(coalesce(w.value, jsonb_strip_nulls(jsonb_build_object('source', i.source, 'content', i.content,
                                                                            'relevance_score', i.relevance_score, 'focus_area', i.focus_area))
                                       || coalesce(o.more, '{}')) ORDER BY i.item_order) AS list
    FROM memory_context_items i
    LEFT JOIN of_objects o ON (o.conversation_id, o.place, o.item_order) = (i.conversation_id, 'item', i.item_order)
    LEFT JOIN memory_metadata w ON (w.conversation_id, w.place, w.item_order) = (i.conversation_id, 'whole item', i.item_order)
    GROUP BY 1
)
SELECT s.conversation_id,
       jsonb_strip_nulls(jsonb_build_object('user_input', s.user_input, 'step_count', s.step_count))
       || CASE WHEN s.focus IS NULL THEN '{}' ELSE jsonb_build_object('focus', s.focus) END
       || CASE WHEN m.list IS NULL THEN '{}' ELSE jsonb_build_object('conversation_history', m.list) END
       || CASE WHEN i.list IS NULL THEN '{}' ELSE jsonb_build_object('memory_context', i.list) END
       || coalesce(o.more, '{}') AS state
FROM conversation_states s
LEFT JOIN messages m USING (conversation_id)
LEFT JOIN items i USING (conversation_id)
LEFT JOIN of_objects o ON o.conversation_id = s.conversation_id AND o.place = 'state';

ANALYZE conversation_states, conversation_messages, memory_context_items, memory_metadata, conversation_originals;
