"""create bookings

Revision ID: 8e44d1b06f2a
Revises: 3c1f0a9d2b7e
Create Date: 2026-01-12 14:00:00.000000

"""
import sqlalchemy as sa
from alembic import op

revision = "8e44d1b06f2a"
down_revision = "3c1f0a9d2b7e"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "bookings",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("studio_id", sa.BigInteger, sa.ForeignKey("studios.id"), nullable=False),
        sa.Column("starts_at", sa.TIMESTAMP(timezone=True), nullable=False),
    )
    op.create_index("bookings_studio_id_idx", "bookings", ["studio_id"])


def downgrade() -> None:
    op.drop_table("bookings")
