ALTER TABLE public.orders RENAME TO purchases;
ALTER TABLE public.purchases RENAME COLUMN kind TO purchase_kind;
ALTER TABLE public.purchases RENAME CONSTRAINT orders_pkey TO purchases_pkey;
ALTER TABLE public.purchases RENAME CONSTRAINT orders_tenant_id_fkey TO purchases_tenant_id_fkey;
ALTER INDEX public.orders_kind_idx RENAME TO purchases_kind_idx;
~~ back
ALTER INDEX public.purchases_kind_idx RENAME TO orders_kind_idx;
ALTER TABLE public.purchases RENAME CONSTRAINT purchases_tenant_id_fkey TO orders_tenant_id_fkey;
ALTER TABLE public.purchases RENAME CONSTRAINT purchases_pkey TO orders_pkey;
ALTER TABLE public.purchases RENAME COLUMN purchase_kind TO kind;
ALTER TABLE public.purchases RENAME TO orders;
==
-- destroys the values of public.purchases.old
ALTER TABLE public.purchases DROP COLUMN old;
CREATE TABLE public.lines (
    id bigint NOT NULL,
    purchase_id uuid NOT NULL
);
ALTER TABLE public.purchases ADD CONSTRAINT purchase_kind_not_null CHECK (purchase_kind IS NOT NULL) NOT VALID;
ALTER TABLE public.purchases ALTER COLUMN note TYPE text USING note::text;
ALTER TABLE ONLY public.lines ADD CONSTRAINT lines_pkey PRIMARY KEY (id);
ALTER TABLE public.lines ADD CONSTRAINT lines_purchase_id_fkey FOREIGN KEY (purchase_id) REFERENCES public.purchases(id);
CREATE INDEX lines_purchase_id_idx ON public.lines USING btree (purchase_id);
~~ back
-- destroys the rows of public.lines
DROP TABLE public.lines;
ALTER TABLE public.purchases DROP CONSTRAINT purchase_kind_not_null;
ALTER TABLE public.purchases ADD COLUMN old integer;
ALTER TABLE public.purchases ALTER COLUMN note TYPE character varying(5) USING note::character varying(5);
==
-- af-db: no-transaction
ALTER TABLE public.purchases VALIDATE CONSTRAINT purchase_kind_not_null;
ALTER TABLE public.purchases ALTER COLUMN purchase_kind SET NOT NULL;
ALTER TABLE public.purchases DROP CONSTRAINT purchase_kind_not_null;
CREATE INDEX CONCURRENTLY purchases_tenant_id_idx ON public.purchases USING btree (tenant_id);
~~ back
DROP INDEX public.purchases_tenant_id_idx;
ALTER TABLE public.purchases ALTER COLUMN purchase_kind DROP NOT NULL;
ALTER TABLE public.purchases ADD CONSTRAINT purchase_kind_not_null CHECK ((purchase_kind IS NOT NULL)) NOT VALID;
