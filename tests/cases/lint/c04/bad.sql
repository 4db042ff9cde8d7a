ALTER TYPE state RENAME VALUE 'new' TO 'fresh'; -- !
