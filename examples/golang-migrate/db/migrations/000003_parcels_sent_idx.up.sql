CREATE INDEX CONCURRENTLY parcels_sent_at_idx ON public.parcels (sent_at);
