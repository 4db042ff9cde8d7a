DROP INDEX CONCURRENTLY public.parcels_sent_at_idx;
