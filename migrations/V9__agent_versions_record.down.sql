-- What was recorded stays in its table, so that going up again goes on from there.
DROP TRIGGER agents_record_version ON public.agents;
DROP TRIGGER agents_number_version ON public.agents;
DROP FUNCTION app.record_agent_version();
DROP FUNCTION app.number_version();
