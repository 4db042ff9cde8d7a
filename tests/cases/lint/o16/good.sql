SET LOCAL work_mem = '1GB';
ALTER DATABASE app OWNER TO admin;
