create policy own on public.notes for all to authenticated using ((select auth.uid()) = owner);
