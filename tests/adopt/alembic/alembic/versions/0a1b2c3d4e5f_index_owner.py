"""index owner

Revision ID: 0a1b2c3d4e5f
Revises: fbb46e24f152
Create Date: 2026-01-07 09:00:00.000000

"""
from alembic import op

revision = "0a1b2c3d4e5f"
down_revision = "fbb46e24f152"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index("projects_owner_idx", "projects", ["owner"], postgresql_concurrently=True)


def downgrade() -> None:
    op.drop_index("projects_owner_idx", "projects")
