"""Regions are a tree, prices a list, and what is in stock lies in warehouses, with a ledger of all that moved."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import yaml
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_REGIONS = Path(__file__).parents[3] / "mall_adapter" / "regions.yml"
_PLACED = ("customer", "orders", "supplier")
_EVER = datetime(2000, 1, 1, tzinfo=UTC)
"""Since when a price of before counts: nobody wrote it down."""


def upgrade() -> None:
    _regions()
    _goods()
    _stock()


def _regions() -> None:
    op.create_table(
        "region",
        sa.Column("code", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("parent", sa.String, sa.ForeignKey("region.code")),
        sa.Column("level", sa.String(32), nullable=False),
    )
    op.create_index("ix_region_parent", "region", ["parent"])
    region = sa.table("region", *map(sa.column, ("code", "name", "parent", "level")))
    rows: list[dict[str, Any]] = []
    for area in yaml.safe_load(_REGIONS.read_text("utf-8"))["areas"]:
        rows.append({"code": area["code"], "name": area["name"], "parent": None, "level": "area"})
        for province in area["provinces"]:
            of = {"code": province["code"], "name": province["name"], "parent": area["code"], "level": "province"}
            rows.append(of)
            rows += (
                {"code": code, "name": name, "parent": province["code"], "level": "city"}
                for code, name in province["cities"].items()
            )
    op.bulk_insert(region, rows)
    known = {row["name"]: row["code"] for row in reversed(rows)}  # an area or a province before a city of its name
    connection = op.get_bind()
    for table in _PLACED:
        placed = sa.table(table, sa.column("region", sa.String))
        for name in connection.scalars(sa.select(placed.c.region).distinct()).all():
            begins = max((each for each in known if name.startswith(each)), key=len, default=None)
            if begins is None:  # whatever it meant to the shop, it goes on under its own name
                op.bulk_insert(region, [{"code": name, "name": name, "parent": None, "level": "area"}])
                begins = name
                known[name] = name
            connection.execute(sa.update(placed).where(placed.c.region == name).values(region=known[begins]))
        with op.batch_alter_table(table) as batch:
            batch.create_foreign_key(f"fk_{table}_region", "region", ["region"], ["code"])


def _goods() -> None:
    with op.batch_alter_table("product") as batch:
        batch.add_column(sa.Column("presale_days", sa.Integer, nullable=False, server_default="0"))
        batch.add_column(sa.Column("made_days", sa.Integer, nullable=False, server_default="0"))
    op.create_table(
        "price",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("sku_id", sa.String, sa.ForeignKey("sku.id"), nullable=False),
        sa.Column("region", sa.String, sa.ForeignKey("region.code")),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("cents", sa.Integer, nullable=False),
        sa.Column("valid_from", _TIME, nullable=False),
        sa.Column("valid_until", _TIME),
        sa.Column("version", sa.Integer, nullable=False),
        sa.CheckConstraint("cents >= 0", name="cents"),
        sa.CheckConstraint("valid_until > valid_from", name="validity"),
    )
    op.create_index("ix_price_sku_id_valid_from", "price", ["sku_id", "valid_from"])
    op.get_bind().execute(
        sa.text(
            "INSERT INTO price (sku_id, kind, cents, valid_from, version)"
            " SELECT id, 'list', price_cents, :ever, 1 FROM sku ORDER BY id"
        ).bindparams(sa.bindparam("ever", _EVER, _TIME))
    )
    op.create_table(
        "freight_template",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("supplier_id", sa.String, sa.ForeignKey("supplier.id"), nullable=False),
        sa.Column("region", sa.String, sa.ForeignKey("region.code")),
        sa.Column("unit", sa.String(32), nullable=False),
        *(
            sa.Column(name, sa.Integer, nullable=False)
            for name in ("first_units", "first_cents", "further_units", "further_cents")
        ),
        sa.Column("free_from_cents", sa.Integer),
        sa.CheckConstraint("first_units > 0 AND further_units > 0", name="units"),
        sa.CheckConstraint("first_cents >= 0 AND further_cents >= 0 AND free_from_cents >= 0", name="amounts"),
    )
    op.create_index(
        "ix_freight_template_supplier_id_region", "freight_template", ["supplier_id", "region"], unique=True
    )


def _stock() -> None:
    op.create_table(
        "warehouse",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("supplier_id", sa.String, sa.ForeignKey("supplier.id"), nullable=False),
        sa.Column("region", sa.String, sa.ForeignKey("region.code"), nullable=False),
        sa.Column("name", sa.String, nullable=False),
    )
    op.create_index("ix_warehouse_supplier_id", "warehouse", ["supplier_id"])
    op.create_table(
        "stock",
        sa.Column("warehouse_id", sa.String, sa.ForeignKey("warehouse.id"), primary_key=True),
        sa.Column("sku_id", sa.String, sa.ForeignKey("sku.id"), primary_key=True),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("on_hand", "allocated", "held", "version")),
        sa.CheckConstraint("allocated >= 0 AND held >= 0", name="held"),
        sa.CheckConstraint("allocated + held <= on_hand", name="on_hand"),
    )
    op.create_index("ix_stock_sku_id", "stock", ["sku_id"])
    op.create_table(
        "stock_movement",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("warehouse_id", sa.String, nullable=False),
        sa.Column("sku_id", sa.String, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("quantity", sa.Integer, nullable=False),
        sa.Column("order_id", sa.String, sa.ForeignKey("orders.id")),
        sa.Column("ticket_id", sa.String, sa.ForeignKey("ticket.id")),
        sa.Column("cause", sa.String, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("role", sa.String(32), nullable=False),
        sa.Column("principal_id", sa.String),
        sa.UniqueConstraint("cause"),
        sa.CheckConstraint("quantity <> 0", name="quantity"),
        sa.ForeignKeyConstraint(["warehouse_id", "sku_id"], ["stock.warehouse_id", "stock.sku_id"]),
    )
    for columns in (["warehouse_id", "sku_id"], ["order_id"], ["ticket_id"]):
        op.create_index(f"ix_stock_movement_{'_'.join(columns)}", "stock_movement", columns)
    # each supplier's goods lay in one place; the ledger begins with what was there
    op.execute(
        "INSERT INTO warehouse (id, supplier_id, region, name) SELECT 'W-' || id, id, region, name FROM supplier"
    )
    op.execute(
        "INSERT INTO stock (warehouse_id, sku_id, on_hand, allocated, held, version)"
        " SELECT 'W-' || p.supplier_id, k.id, k.quantity, k.allocated, k.reserved, 1"
        " FROM sku k JOIN product p ON p.id = k.product_id"
    )
    for kind, column in (("count", "on_hand"), ("allocate", "allocated")):
        op.execute(
            "INSERT INTO stock_movement (warehouse_id, sku_id, kind, quantity, cause, at, role, principal_id)"  # noqa: S608
            f" SELECT warehouse_id, sku_id, '{kind}', {column}, '{kind}:opening:' || warehouse_id || ':' || sku_id,"
            f" CURRENT_TIMESTAMP, 'service', 'migration' FROM stock WHERE {column} <> 0"
            " ORDER BY warehouse_id, sku_id"
        )
    with op.batch_alter_table("sku") as batch:
        for constraint in ("price", "held", "stock"):
            batch.drop_constraint(constraint, type_="check")
        for column in ("price_cents", "quantity", "allocated", "reserved"):
            batch.drop_column(column)
        batch.add_column(sa.Column("weight_g", sa.Integer, nullable=False, server_default="0"))
        batch.create_check_constraint("weight", "weight_g >= 0")


def downgrade() -> None:
    with op.batch_alter_table("sku") as batch:
        batch.drop_constraint("weight", type_="check")
        batch.drop_column("weight_g")
        for column in ("price_cents", "quantity", "allocated", "reserved"):
            batch.add_column(sa.Column(column, sa.Integer, nullable=False, server_default="0"))
    op.execute(
        "UPDATE sku SET price_cents = coalesce((SELECT p.cents FROM price p WHERE p.sku_id = sku.id AND p.kind = 'list'"
        " ORDER BY p.region IS NOT NULL, p.valid_until IS NOT NULL, p.valid_from DESC LIMIT 1), 0)"
    )
    for column, of in (("quantity", "on_hand"), ("allocated", "allocated"), ("reserved", "held")):
        sums = f"SELECT sum({of}) FROM stock WHERE stock.sku_id = sku.id"  # noqa: S608
        op.execute(f"UPDATE sku SET {column} = coalesce(({sums}), 0)")  # noqa: S608
    with op.batch_alter_table("sku") as batch:
        for column in ("price_cents", "quantity", "allocated", "reserved"):
            batch.alter_column(column, server_default=None)
        batch.create_check_constraint("price", "price_cents >= 0")
        batch.create_check_constraint("held", "allocated >= 0 AND reserved >= 0")
        batch.create_check_constraint("stock", "allocated + reserved <= quantity")
    for table in ("stock_movement", "stock", "warehouse", "freight_template", "price"):
        op.drop_table(table)
    with op.batch_alter_table("product") as batch:
        batch.drop_column("presale_days")
        batch.drop_column("made_days")
    for table in _PLACED:
        with op.batch_alter_table(table) as batch:
            batch.drop_constraint(f"fk_{table}_region", type_="foreignkey")
        # a city's people were kept by their province
        op.execute(
            f"UPDATE {table} SET region = (SELECT CASE WHEN r.level = 'city' THEN p.name ELSE r.name END"  # noqa: S608
            f" FROM region r LEFT JOIN region p ON p.code = r.parent WHERE r.code = {table}.region)"
        )
    op.drop_table("region")
