-- What node-pg-migrate leaves after two migrations.
CREATE TABLE public.pgmigrations (id SERIAL PRIMARY KEY, name varchar(255) NOT NULL, run_on timestamp NOT NULL);
INSERT INTO public.pgmigrations (name, run_on) VALUES
    ('1767603600000_books', '2026-01-05 10:00:00'),
    ('1767690000000_authors', '2026-01-05 10:00:01');
