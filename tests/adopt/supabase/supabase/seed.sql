insert into public.notes (body) values ('a seed is data, not a migration');
