-- What Prisma leaves after two migrations; the first try of the second was rolled back by a person.
CREATE TABLE "_prisma_migrations" (
    "id" VARCHAR(36) PRIMARY KEY NOT NULL,
    "checksum" VARCHAR(64) NOT NULL,
    "finished_at" TIMESTAMPTZ,
    "migration_name" VARCHAR(255) NOT NULL,
    "logs" TEXT,
    "rolled_back_at" TIMESTAMPTZ,
    "started_at" TIMESTAMPTZ NOT NULL DEFAULT now(),
    "applied_steps_count" INTEGER NOT NULL DEFAULT 0
);
INSERT INTO "_prisma_migrations" VALUES
    ('b9a4c1c4-0000-4000-8000-000000000001', '481547b0516e7b24d5c46deac974dc1f08fdac632288d82c27a8d2e6b14d665a', '2026-01-05 10:00:01+00', '20260105090000_init', NULL, NULL, '2026-01-05 10:00:00+00', 1),
    ('b9a4c1c4-0000-4000-8000-000000000002', 'c6ac28b5dd752dfe5a0cf1c1c64e14d33a6d73fb56803527d038cbc67922c205', NULL, '20260106090000_posts', 'ERROR: relation "User" does not exist', '2026-01-06 10:05:00+00', '2026-01-06 10:00:00+00', 0),
    ('b9a4c1c4-0000-4000-8000-000000000003', 'c6ac28b5dd752dfe5a0cf1c1c64e14d33a6d73fb56803527d038cbc67922c205', '2026-01-06 10:10:01+00', '20260106090000_posts', NULL, NULL, '2026-01-06 10:10:00+00', 1);
