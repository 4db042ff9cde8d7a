DROP TABLE public.parcels;
