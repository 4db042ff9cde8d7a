ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers (id); -- !
ALTER TABLE ONLY public.orders
    ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES b (a) ON DELETE CASCADE; -- !
