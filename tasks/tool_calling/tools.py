"""The back office of an online shop: ten tools over the small store in `store.json`."""

import json
from collections.abc import Callable
from copy import deepcopy
from datetime import date
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar

from pydantic import BaseModel, ValidationError, validate_call

from tasks.base import Tool, ToolError

TODAY = date(2026, 6, 15)
REFUND_DAYS = 30
MAX_PARCEL_KG = 30
STORE = Path(__file__).with_name("store.json")
READS = frozenset({"find_customer", "list_orders", "get_order", "check_stock", "quote_shipping", "convert_currency"})
"""The tools that change nothing."""

OrderStatus = Literal["processing", "shipped", "delivered", "cancelled"]
Warehouse = Literal["berlin", "madrid", "oslo"]
RefundReason = Literal["damaged", "late", "wrong_item", "changed_mind"]
Priority = Literal["low", "normal", "high"]
Currency = Literal["USD", "GBP", "NOK"]


class Address(BaseModel):
    """A postal address."""

    street: str
    postal_code: str
    city: str
    country_code: str


class OrderLine(BaseModel):
    """A product of an order."""

    product_id: str
    quantity: int


P = ParamSpec("P")
R = TypeVar("R")


def tool(method: Callable[Concatenate["Shop", P], R]) -> Callable[Concatenate["Shop", P], R]:
    """Make a method a tool: arguments may come typed or as JSON values, and calls fail during an outage."""
    validated = validate_call(method)

    @wraps(method)
    def call(self: "Shop", /, *args: P.args, **kwargs: P.kwargs) -> R:
        self._fail_during_outage(method.__name__)
        try:
            return validated(self, *args, **kwargs)
        except ValidationError as error:
            first = error.errors()[0]
            raise ToolError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None

    return call


class Shop:
    """The shop of one run. `outages` says how many times a tool fails before it works."""

    def __init__(self, outages: dict[str, int] | None = None) -> None:
        self._outages = dict(outages or {})
        store = json.loads(STORE.read_text(encoding="utf-8"))
        self._customers: dict[str, dict[str, Any]] = store["customers"]
        self._products: dict[str, dict[str, Any]] = store["products"]
        self._orders: dict[str, dict[str, Any]] = store["orders"]
        self._shipping: dict[str, dict[str, float]] = store["shipping_eur"]
        self._rates: dict[str, float] = store["currency_for_1_eur"]
        self._new_orders: dict[str, dict[str, Any]] = {}
        self._addresses: dict[str, dict[str, str]] = {}
        self._refunds: dict[str, dict[str, Any]] = {}
        self._tickets: dict[str, dict[str, Any]] = {}

    def tools(self) -> list[Tool]:
        """All tools, bound to this shop."""
        return [
            self.find_customer,
            self.list_orders,
            self.get_order,
            self.check_stock,
            self.quote_shipping,
            self.convert_currency,
            self.create_order,
            self.change_address,
            self.create_refund,
            self.open_ticket,
        ]

    def state(self) -> dict[str, Any]:
        """What the run has changed, by id, as JSON. A ticket's wording is left out: it is the model's own."""
        changes = {
            "orders": self._new_orders,
            "addresses": self._addresses,
            "refunds": self._refunds,
            "tickets": self._tickets,
        }
        return deepcopy(changes)

    @tool
    def find_customer(self, email: str) -> dict[str, Any]:
        """Find a customer's id, name and home address."""
        for customer_id, customer in self._customers.items():
            if customer["email"] == email.strip().lower():
                return {"customer_id": customer_id, "name": customer["name"], "address": customer["address"]}
        raise ToolError(f"There is no customer with the e-mail address {email}.")

    @tool
    def list_orders(
        self, customer_id: str, status: OrderStatus | None = None, since: date | None = None
    ) -> list[dict[str, Any]]:
        """List the ids of a customer's orders.

        Args:
            status: Only orders with this status.
            since: Only orders placed on or after this date.
        """
        _known(self._customers, "customer", customer_id)
        return [
            {"order_id": order_id, "placed": order["placed"]}
            for order_id, order in self._orders.items()
            if order["customer_id"] == customer_id
            and status in (None, order["status"])
            and (since is None or date.fromisoformat(order["placed"]) >= since)
        ]

    @tool
    def get_order(self, order_id: str) -> dict[str, Any]:
        """Get an order's customer, status, dates, lines, total in EUR, weight and delivery address."""
        order = _known(self._orders, "order", order_id)
        lines = [line | {"name": self._products[line["product_id"]]["name"]} for line in order["lines"]]
        weight_kg = sum(line["quantity"] * self._products[line["product_id"]]["kg"] for line in lines)
        return {
            "order_id": order_id,
            **order,
            "lines": lines,
            "total": _total(lines),
            "weight_kg": round(weight_kg, 2),
        }

    @tool
    def check_stock(self, product_ids: list[str], warehouse: Warehouse | None = None) -> dict[str, dict[str, int]]:
        """Count the units in stock of one or more products.

        Args:
            product_ids: All products of interest, in one call.
            warehouse: All warehouses if left out.
        """
        stocks = {name: _known(self._products, "product", name)["stock"] for name in product_ids}
        return {
            name: {place: units for place, units in stock.items() if warehouse in (None, place)}
            for name, stock in stocks.items()
        }

    @tool
    def quote_shipping(self, address: Address, weight_kg: float, express: bool = False) -> dict[str, Any]:
        """Quote the price in EUR for sending a parcel."""
        prices = self._shipping.get(address.country_code.upper())
        if prices is None:
            raise ToolError(f"The shop does not ship to {address.country_code}.")
        if not 0 < weight_kg <= MAX_PARCEL_KG:
            raise ToolError(f"A parcel may weigh up to {MAX_PARCEL_KG} kg, not {weight_kg} kg.")
        price = prices["parcel"] + prices["each_kg"] * weight_kg + (prices["express"] if express else 0)
        return {"price": _cents(price), "currency": "EUR"}

    @tool
    def convert_currency(self, amount: float, currency: Currency) -> dict[str, Any]:
        """Convert an amount in EUR into another currency."""
        return {"amount": _cents(amount * self._rates[currency]), "currency": currency}

    @tool
    def create_order(self, customer_id: str, lines: list[OrderLine]) -> dict[str, Any]:
        """Create an order, to be sent to the customer's home address."""
        customer = _known(self._customers, "customer", customer_id)
        for line in lines:
            units = sum(_known(self._products, "product", line.product_id)["stock"].values())
            if not 1 <= line.quantity <= units:
                raise ToolError(f"{line.quantity} of {line.product_id} cannot be ordered: {units} are in stock.")
        if not lines:
            raise ToolError("An order needs at least one line.")
        order_id = f"O-{5001 + len(self._orders)}"
        prices = {line.product_id: self._products[line.product_id]["price"] for line in lines}
        order = {
            "customer_id": customer_id,
            "status": "processing",
            "placed": TODAY.isoformat(),
            "delivered": None,
            "lines": [line.model_dump() | {"unit_price": prices[line.product_id]} for line in lines],
            "address": customer["address"],
        }
        self._orders[order_id] = order
        self._new_orders[order_id] = {"customer_id": customer_id, "lines": order["lines"]}
        return {"order_id": order_id, "total": _total(order["lines"])}

    @tool
    def change_address(self, order_id: str, address: Address) -> dict[str, Any]:
        """Change the delivery address of an order that is still processing."""
        order = _known(self._orders, "order", order_id)
        if order["status"] != "processing":
            raise ToolError(f"Order {order_id} is {order['status']}: its address cannot be changed any more.")
        order["address"] = self._addresses[order_id] = address.model_dump()
        return {"order_id": order_id, "address": order["address"]}

    @tool
    def create_refund(self, order_id: str, amount: float, reason: RefundReason) -> dict[str, Any]:
        """Refund an amount in EUR of a delivered order."""
        order = _known(self._orders, "order", order_id)
        if order["status"] != "delivered":
            raise ToolError(f"Refused: order {order_id} is {order['status']}, not delivered.")
        if (TODAY - date.fromisoformat(order["delivered"])).days > REFUND_DAYS:
            raise ToolError(
                f"Refused: order {order_id} was delivered on {order['delivered']}, more than {REFUND_DAYS} days ago."
            )
        refunded = sum(refund["amount"] for refund in self._refunds.values() if refund["order_id"] == order_id)
        returnable = [line for line in order["lines"] if not self._products[line["product_id"]]["final_sale"]]
        limit = _cents(_total(returnable) - refunded)
        if not 0 < _cents(amount) <= limit:
            raise ToolError(
                f"Refused: up to {limit:.2f} EUR of order {order_id} can be refunded; final-sale items do not count."
            )
        refund_id = f"R-{len(self._refunds) + 1}"
        self._refunds[refund_id] = {"order_id": order_id, "amount": _cents(amount), "reason": reason}
        return {"refund_id": refund_id, **self._refunds[refund_id]}

    @tool
    def open_ticket(
        self, customer_id: str, subject: str, priority: Priority = "normal", due: date | None = None
    ) -> dict[str, Any]:
        """Open a support ticket for a customer.

        Args:
            due: Day by which it must be done.
        """
        _known(self._customers, "customer", customer_id)
        if due is not None and due < TODAY:
            raise ToolError(f"The due date {due} is in the past.")
        ticket_id = f"T-{len(self._tickets) + 1}"
        self._tickets[ticket_id] = {
            "customer_id": customer_id,
            "priority": priority,
            "due": due.isoformat() if due else None,
        }
        return {"ticket_id": ticket_id, **self._tickets[ticket_id], "subject": subject}

    def _fail_during_outage(self, name: str) -> None:
        if self._outages.get(name, 0) > 0:
            self._outages[name] -= 1
            raise ToolError(f"{name} is temporarily unavailable, try again.")


def _known(records: dict[str, dict[str, Any]], kind: str, record_id: str) -> dict[str, Any]:
    if record_id not in records:
        raise ToolError(f"There is no {kind} {record_id}.")
    return records[record_id]


def _total(lines: list[dict[str, Any]]) -> float:
    return _cents(sum(line["quantity"] * line["unit_price"] for line in lines))


def _cents(amount: float) -> float:
    return round(amount, 2)
