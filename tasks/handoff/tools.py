"""The support desk: a small fixed store, and the tools of its four agents."""

from copy import deepcopy
from datetime import date
from typing import Any, Literal

from tasks.base import Tool, ToolError

AGENTS = ("triage", "billing", "technical", "sales")

READS = frozenset(
    {"find_customer", "get_invoice", "list_unpaid_invoices", "check_outage", "run_line_test", "list_plans"}
)
"""The tools that change nothing."""

CREDIT_LIMIT_EUR = 20

CUSTOMERS = {
    "C-301": {"name": "Ada Berg", "phone": "555-0101", "postcode": "10115"},
    "C-302": {"name": "Ben Okoro", "phone": "555-0102", "postcode": "20095"},
    "C-303": {"name": "Carla Ruiz", "phone": "555-0103", "postcode": "50667"},
    "C-304": {"name": "Dev Patel", "phone": "555-0104", "postcode": "80331"},
    "C-305": {"name": "Eva Novak", "phone": "555-0105", "postcode": "04109"},
    "C-306": {"name": "Finn Dahl", "phone": "555-0106", "postcode": "28195"},
}

INVOICES: dict[str, dict[str, Any]] = {
    "INV-9001": {"customer_id": "C-301", "amount_eur": 29.95, "due": "2026-03-20", "paid_on": "2026-03-17"},
    "INV-9002": {"customer_id": "C-301", "amount_eur": 42.35, "due": "2026-04-20", "paid_on": None},
    "INV-9003": {"customer_id": "C-302", "amount_eur": 39.45, "due": "2026-04-20", "paid_on": "2026-04-08"},
    "INV-9004": {"customer_id": "C-304", "amount_eur": 31.15, "due": "2026-03-20", "paid_on": None},
    "INV-9005": {"customer_id": "C-304", "amount_eur": 29.95, "due": "2026-04-20", "paid_on": None},
    "INV-9006": {"customer_id": "C-305", "amount_eur": 18.65, "due": "2026-04-20", "paid_on": None},
}

LINES = {
    "C-301": {"download_mbit_s": 94, "result": "line is fine, speed is at the limit of the plan"},
    "C-302": {"download_mbit_s": 0, "result": "no signal from the network"},
    "C-304": {"download_mbit_s": 12, "result": "cable damaged, a technician is needed"},
    "C-306": {"download_mbit_s": 487, "result": "line is fine"},
}

OUTAGES = {
    "20095": {"outage_id": "OUT-71", "service": "fiber", "repaired_by": "2026-05-11", "compensation_eur": 6.25},
    "04109": {"outage_id": "OUT-72", "service": "mobile", "repaired_by": "2026-05-09", "compensation_eur": 4.15},
}

PLANS: dict[str, dict[str, Any]] = {
    "MOBILE-S": {"kind": "mobile", "includes": "5 GB", "eur_per_month": 9.95},
    "MOBILE-M": {"kind": "mobile", "includes": "20 GB", "eur_per_month": 17.45},
    "MOBILE-L": {"kind": "mobile", "includes": "80 GB", "eur_per_month": 29.85},
    "FIBER-100": {"kind": "fiber", "includes": "100 Mbit/s", "eur_per_month": 29.95},
    "FIBER-250": {"kind": "fiber", "includes": "250 Mbit/s", "eur_per_month": 39.45},
    "FIBER-500": {"kind": "fiber", "includes": "500 Mbit/s", "eur_per_month": 54.85},
}

SIM_PRICES_EUR = {"card": 4.95, "esim": 2.45}


class Desk:
    """The state of one run. New ids are sequential, so the same calls give the same results."""

    def __init__(self) -> None:
        self._plan_of = {
            "C-301": "FIBER-100",
            "C-302": "FIBER-250",
            "C-303": "MOBILE-S",
            "C-304": "FIBER-100",
            "C-305": "MOBILE-M",
            "C-306": "FIBER-500",
        }
        self._callbacks: list[dict[str, Any]] = []
        self._credits: list[dict[str, Any]] = []
        self._visits: list[dict[str, Any]] = []
        self._plan_changes: list[dict[str, Any]] = []
        self._sims: list[dict[str, Any]] = []

    def tools_of(self, agent: str) -> list[Tool]:
        """The tools that `agent` owns. Raises `KeyError` for an unknown agent."""
        tools: dict[str, list[Tool]] = {
            "triage": [self.find_customer, self.schedule_callback],
            "billing": [self.get_invoice, self.list_unpaid_invoices, self.grant_credit],
            "technical": [self.check_outage, self.run_line_test, self.book_technician],
            "sales": [self.list_plans, self.change_plan, self.order_sim],
        }
        return tools[agent]

    def state(self) -> dict[str, Any]:
        """A copy of everything that tools can change."""
        return deepcopy(
            {
                "plans": self._plan_of,
                "callbacks": self._callbacks,
                "credits": self._credits,
                "technician_visits": self._visits,
                "plan_changes": self._plan_changes,
                "sim_orders": self._sims,
            }
        )

    # --- triage ------------------------------------------------------------------------------

    def find_customer(self, phone: str) -> dict[str, Any]:
        """Find the customer with a phone number such as 555-0199."""
        for customer_id, customer in CUSTOMERS.items():
            if customer["phone"] == phone.strip():
                return {"customer_id": customer_id, **customer, "plan_id": self._plan_of[customer_id]}
        raise ToolError(f"No customer has the phone number {phone}. Numbers look like 555-0199.")

    def schedule_callback(
        self, customer_id: str, day: date, topic: Literal["billing", "technical", "sales"]
    ) -> dict[str, Any]:
        """Schedule a call from us to the customer."""
        _check_customer(customer_id)
        return _add(self._callbacks, "callback_id", "CB", 501, customer_id=customer_id, day=str(day), topic=topic)

    # --- billing -----------------------------------------------------------------------------

    def get_invoice(self, invoice_id: str) -> dict[str, Any]:
        """Get customer, amount, due date and payment of an invoice."""
        if invoice_id not in INVOICES:
            raise ToolError(f"There is no invoice {invoice_id}. Invoice ids look like INV-9000.")
        invoice = INVOICES[invoice_id]
        return {"invoice_id": invoice_id, **invoice, "status": "paid" if invoice["paid_on"] else "unpaid"}

    def list_unpaid_invoices(self, customer_id: str) -> list[str]:
        """List the ids of a customer's unpaid invoices."""
        _check_customer(customer_id)
        return [
            invoice_id
            for invoice_id, invoice in INVOICES.items()
            if invoice["customer_id"] == customer_id and not invoice["paid_on"]
        ]

    def grant_credit(
        self, customer_id: str, amount_eur: float, reason: Literal["outage", "billing_error", "late_technician"]
    ) -> dict[str, Any]:
        """Grant a customer a credit."""
        _check_customer(customer_id)
        if not 0 < amount_eur <= CREDIT_LIMIT_EUR:
            raise ToolError(f"Refused: a credit must be above 0 and at most {CREDIT_LIMIT_EUR} EUR.")
        fields = {"customer_id": customer_id, "amount_eur": amount_eur, "reason": reason}
        return _add(self._credits, "credit_id", "CR", 401, **fields)

    # --- technical ---------------------------------------------------------------------------

    def check_outage(self, postcode: str) -> dict[str, Any]:
        """Check for a network outage at a postcode."""
        if not (postcode.isdecimal() and len(postcode) == 5):
            raise ToolError(f"{postcode} is not a postcode. Postcodes have five digits.")
        if postcode not in OUTAGES:
            return {"postcode": postcode, "status": "no outage"}
        return {"postcode": postcode, "status": "outage", **OUTAGES[postcode]}

    def run_line_test(self, customer_id: str) -> dict[str, Any]:
        """Test a customer's fiber line and measure its speed."""
        _check_customer(customer_id)
        if customer_id not in LINES:
            raise ToolError(f"{customer_id} has no fiber line to test.")
        return {"customer_id": customer_id, **LINES[customer_id]}

    def book_technician(self, customer_id: str, day: date) -> dict[str, Any]:
        """Book a technician's visit to the customer."""
        _check_customer(customer_id)
        return _add(self._visits, "visit_id", "TV", 701, customer_id=customer_id, day=str(day))

    # --- sales -------------------------------------------------------------------------------

    def list_plans(self, kind: Literal["mobile", "fiber"]) -> list[dict[str, Any]]:
        """List the plans of a kind with their prices."""
        return [{"plan_id": plan_id, **plan} for plan_id, plan in PLANS.items() if plan["kind"] == kind]

    def change_plan(self, customer_id: str, plan_id: str) -> dict[str, Any]:
        """Change a customer's plan, for example to MOBILE-S or FIBER-100."""
        _check_customer(customer_id)
        if plan_id not in PLANS:
            raise ToolError(f"There is no plan {plan_id}. The plans are {', '.join(PLANS)}.")
        old, new = PLANS[self._plan_of[customer_id]], PLANS[plan_id]
        if old["kind"] != new["kind"]:
            raise ToolError(f"Refused: {customer_id} has a {old['kind']} plan and can only change to another one.")
        self._plan_of[customer_id] = plan_id
        change = _add(self._plan_changes, "order_id", "PC", 801, customer_id=customer_id, plan_id=plan_id)
        installation = "technician visit required" if plan_id == "FIBER-500" else "none"
        return {**change, "eur_per_month": new["eur_per_month"], "installation": installation}

    def order_sim(self, customer_id: str, kind: Literal["card", "esim"]) -> dict[str, Any]:
        """Order a SIM for a customer with a mobile plan."""
        _check_customer(customer_id)
        if PLANS[self._plan_of[customer_id]]["kind"] != "mobile":
            raise ToolError(f"Refused: {customer_id} has no mobile plan.")
        order = _add(self._sims, "order_id", "SIM", 601, customer_id=customer_id, kind=kind)
        return {**order, "price_eur": SIM_PRICES_EUR[kind]}


def _check_customer(customer_id: str) -> None:
    if customer_id not in CUSTOMERS:
        raise ToolError(f"There is no customer {customer_id}. Customer ids look like C-300; or find one by phone.")


def _add(rows: list[dict[str, Any]], id_name: str, prefix: str, first: int, **fields: Any) -> dict[str, Any]:
    row = {id_name: f"{prefix}-{first + len(rows)}", **fields}
    rows.append(row)
    return dict(row)
