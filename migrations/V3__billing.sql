-- The four tables that selling needs. Plans are the price list, the same for every tenant.

CREATE TABLE public.plans (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    slug text NOT NULL,
    name text NOT NULL,
    price_cents integer NOT NULL,
    currency text DEFAULT 'EUR' NOT NULL,
    included_units bigint DEFAULT 0 NOT NULL,
    retired_at timestamptz,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT plans_pkey PRIMARY KEY (id),
    CONSTRAINT plans_slug_key UNIQUE (slug),
    CONSTRAINT plans_slug_check CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' AND char_length(slug) <= 63),
    CONSTRAINT plans_price_cents_check CHECK (price_cents >= 0),
    CONSTRAINT plans_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT plans_included_units_check CHECK (included_units >= 0)
);
COMMENT ON TABLE public.plans IS 'The price list; shared, read by every tenant, written by none';

CREATE TABLE public.subscriptions (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    tenant_id uuid NOT NULL,
    plan_id uuid NOT NULL,
    status text DEFAULT 'trialing' NOT NULL,
    current_period_start timestamptz NOT NULL,
    current_period_end timestamptz NOT NULL,
    cancelled_at timestamptz,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT subscriptions_pkey PRIMARY KEY (id),
    CONSTRAINT subscriptions_tenant_id_id_key UNIQUE (tenant_id, id),
    CONSTRAINT subscriptions_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenants (id) ON DELETE CASCADE,
    CONSTRAINT subscriptions_plan_id_fkey FOREIGN KEY (plan_id) REFERENCES public.plans (id),
    CONSTRAINT subscriptions_status_check CHECK (status IN ('trialing', 'active', 'past_due', 'cancelled')),
    CONSTRAINT subscriptions_current_period_check CHECK (current_period_end > current_period_start)
);
CREATE UNIQUE INDEX subscriptions_tenant_id_current_key ON public.subscriptions (tenant_id)
    WHERE status <> 'cancelled';
CREATE INDEX subscriptions_plan_id_idx ON public.subscriptions (plan_id);
COMMENT ON TABLE public.subscriptions IS 'Which plan a tenant has; at most one that is not cancelled';

CREATE TABLE public.usage_records (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    tenant_id uuid NOT NULL,
    subscription_id uuid NOT NULL,
    metric text NOT NULL,
    quantity bigint NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT usage_records_pkey PRIMARY KEY (id),
    CONSTRAINT usage_records_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenants (id) ON DELETE CASCADE,
    CONSTRAINT usage_records_subscription_id_fkey FOREIGN KEY (tenant_id, subscription_id)
        REFERENCES public.subscriptions (tenant_id, id),
    CONSTRAINT usage_records_metric_check CHECK (metric <> ''),
    CONSTRAINT usage_records_quantity_check CHECK (quantity >= 0)
);
CREATE INDEX usage_records_tenant_id_created_at_idx ON public.usage_records (tenant_id, created_at DESC);
CREATE INDEX usage_records_created_at_idx ON public.usage_records (created_at);
CREATE INDEX usage_records_subscription_id_idx ON public.usage_records (tenant_id, subscription_id);
COMMENT ON TABLE public.usage_records IS 'What was used, as measured; only ever added to';

CREATE TABLE public.api_keys (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    tenant_id uuid NOT NULL,
    created_by uuid,
    name text NOT NULL,
    prefix text NOT NULL,
    key_hash bytea NOT NULL,
    last_used_at timestamptz,
    expires_at timestamptz,
    revoked_at timestamptz,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT api_keys_pkey PRIMARY KEY (id),
    CONSTRAINT api_keys_key_hash_key UNIQUE (key_hash),
    CONSTRAINT api_keys_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenants (id) ON DELETE CASCADE,
    CONSTRAINT api_keys_created_by_fkey FOREIGN KEY (tenant_id, created_by) REFERENCES public.users (tenant_id, id),
    CONSTRAINT api_keys_name_check CHECK (char_length(name) BETWEEN 1 AND 200),
    CONSTRAINT api_keys_key_hash_check CHECK (octet_length(key_hash) = 32)
);
CREATE INDEX api_keys_created_by_idx ON public.api_keys (tenant_id, created_by);
COMMENT ON TABLE public.api_keys IS 'Keys of machines; the key itself is shown once and never kept';
COMMENT ON COLUMN public.api_keys.key_hash IS 'SHA-256 of the key; not readable by tenants';

CREATE TRIGGER plans_touch_updated_at BEFORE UPDATE ON public.plans
    FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();
CREATE TRIGGER subscriptions_touch_updated_at BEFORE UPDATE ON public.subscriptions
    FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();
CREATE TRIGGER api_keys_touch_updated_at BEFORE UPDATE ON public.api_keys
    FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();

REVOKE ALL ON TABLE public.plans, public.subscriptions, public.usage_records, public.api_keys
    FROM PUBLIC, anon, authenticated, service_role;
ALTER TABLE public.plans ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.subscriptions ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.usage_records ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.api_keys ENABLE ROW LEVEL SECURITY;
