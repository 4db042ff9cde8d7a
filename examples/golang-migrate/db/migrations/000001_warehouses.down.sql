DROP TABLE public.warehouses;
