-- Buckets of files, one row each: the name, and whether a file needs no policy to be fetched by its address.
SELECT b.id, COALESCE(b.public, false)
FROM storage.buckets AS b
ORDER BY b.id
