CREATE TABLE public.parcels (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    warehouse_id uuid NOT NULL,
    weight_grams bigint NOT NULL,
    sent_at timestamptz,
    CONSTRAINT parcels_pkey PRIMARY KEY (id),
    CONSTRAINT parcels_warehouse_id_fkey FOREIGN KEY (warehouse_id) REFERENCES public.warehouses (id),
    CONSTRAINT parcels_weight_check CHECK (weight_grams > 0)
);
CREATE INDEX parcels_warehouse_id_idx ON public.parcels (warehouse_id);
