-- One JSON document a constraint or unique index of a user's table.
SELECT pg_catalog.jsonb_build_object(
    'table', k.conrelid::int8,
    'name', k.conname,
    'kind', k.contype::text,
    'columns', (SELECT coalesce(pg_catalog.jsonb_agg(a.attname ORDER BY u.place), '[]')
                FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY AS u (number, place)
                JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number),
    'target', nullif(k.confrelid, 0)::int8,
    'target-columns', (SELECT coalesce(pg_catalog.jsonb_agg(a.attname ORDER BY u.place), '[]')
                       FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY AS u (number, place)
                       JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.number),
    'on-delete', k.confdeltype::text,
    'on-update', k.confupdtype::text,
    'definition', pg_catalog.pg_get_constraintdef(k.oid),
    'inherited', k.conparentid <> 0
) AS document
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname !~ '^pg_'
  AND n.nspname <> 'information_schema'
  AND k.contype IN ('c', 'p', 'u', 'f', 'x')
UNION ALL
SELECT pg_catalog.jsonb_build_object(
    'table', i.indrelid::int8,
    'name', x.relname,
    'kind', 'i',
    'columns', (SELECT coalesce(pg_catalog.jsonb_agg(a.attname ORDER BY u.place), '[]')
                FROM pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY AS u (number, place)
                JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.number
                WHERE u.place <= i.indnkeyatts),
    'target-columns', '[]'::jsonb,
    'definition', pg_catalog.pg_get_indexdef(i.indexrelid),
    'inherited', false
)
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
JOIN pg_catalog.pg_namespace n ON n.oid = x.relnamespace
WHERE i.indisunique
  AND n.nspname !~ '^pg_'
  AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
