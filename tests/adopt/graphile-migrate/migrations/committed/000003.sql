--! Previous: sha1:c4b8a472854d231825847e64d6597f4525a83654
--! Hash: sha1:677a0ea15bce0d8b36663de4dda2e1ab63595745

CREATE INDEX forums_name_idx ON forums (name);
