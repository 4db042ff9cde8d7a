-- One row: where the server itself says that it listens. The address is absent behind a socket.
SELECT
  pg_catalog.host(pg_catalog.inet_server_addr()) AS address,
  COALESCE(pg_catalog.inet_server_port(), pg_catalog.current_setting('port')::pg_catalog.int4) AS port
