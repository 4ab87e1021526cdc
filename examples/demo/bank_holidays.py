"""A stub of https://www.gov.uk/bank-holidays/england-and-wales.json, so that the demo needs no internet.

    python -m examples.demo.bank_holidays

prints its address, and serves until it is stopped. The document has the real service's format, for this year and the
next. It follows the Banking and Financial Dealings Act 1971 as it is applied today; days that are moved or added by
royal proclamation (a jubilee, a coronation) are not included.
"""

import calendar
from collections.abc import Iterator
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from examples.demo.stand_in import HOST, send_json, serve_until_terminated

PATH = "/bank-holidays/england-and-wales.json"
DIVISION = "england-and-wales"
SUBSTITUTE_NOTE = "Substitute day"
SATURDAY, SUNDAY = calendar.SATURDAY, calendar.SUNDAY


def list_bank_holidays(years: range) -> dict[str, Any]:
    """Return the bank holidays of England and Wales in gov.uk's format: division, and events by date."""
    return {
        "division": DIVISION,
        "events": [event for year in years for event in sorted(_build_events(year), key=_event_date)],
    }


def find_easter_sunday(year: int) -> date:
    """Compute Easter Sunday of the Gregorian calendar by the "anonymous" computus (Nature, 1876; Meeus, Butcher)."""
    golden = year % 19
    century, year_of_century = divmod(year, 100)
    leaps, leap_rest = divmod(century, 4)
    moon_shift = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * golden + century - leaps - moon_shift + 15) % 30
    quarters, quarter_rest = divmod(year_of_century, 4)
    to_sunday = (32 + 2 * leap_rest + 2 * quarters - epact - quarter_rest) % 7
    late = (golden + 11 * epact + 22 * to_sunday) // 451
    month, day = divmod(epact + to_sunday - 7 * late + 114, 31)
    return date(year, month, day + 1)


def _build_events(year: int) -> Iterator[dict[str, Any]]:
    easter = find_easter_sunday(year)
    yield _build_substituted_event("New Year’s Day", date(year, 1, 1), {SATURDAY: 2, SUNDAY: 1})
    # A day of mourning: the real service marks it as the only day without bunting.
    yield _build_event("Good Friday", easter - timedelta(days=2), bunting=False)
    yield _build_event("Easter Monday", easter + timedelta(days=1))
    yield _build_event("Early May bank holiday", _find_first_monday(year, 5))
    yield _build_event("Spring bank holiday", _find_last_monday(year, 5))
    yield _build_event("Summer bank holiday", _find_last_monday(year, 8))
    # If both days need a substitute, they move to Monday and Tuesday in their order; if only Christmas Day does (a
    # Sunday), Boxing Day stays on Monday and Christmas Day moves to Tuesday.
    yield _build_substituted_event("Christmas Day", date(year, 12, 25), {SATURDAY: 2, SUNDAY: 2})
    yield _build_substituted_event("Boxing Day", date(year, 12, 26), {SATURDAY: 2, SUNDAY: 2})


def _build_substituted_event(title: str, day: date, shifts: dict[int, int]) -> dict[str, Any]:
    """Build the holiday; on a weekday in `shifts`, its substitute that many days later."""
    shift = shifts.get(day.weekday(), 0)
    return _build_event(title, day + timedelta(days=shift), notes=SUBSTITUTE_NOTE if shift else "")


def _build_event(title: str, day: date, *, notes: str = "", bunting: bool = True) -> dict[str, Any]:
    return {"title": title, "date": day.isoformat(), "notes": notes, "bunting": bunting}


def _find_first_monday(year: int, month: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=-first.weekday() % 7)


def _find_last_monday(year: int, month: int) -> date:
    last = date(year, month, calendar.monthrange(year, month)[1])
    return last - timedelta(days=last.weekday())


def _event_date(event: dict[str, Any]) -> str:
    return str(event["date"])


class BankHolidaysHandler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path != PATH:
            self.send_error(404)
            return
        this_year = date.today().year
        send_json(self, list_bank_holidays(range(this_year, this_year + 2)))


def main() -> None:
    serve_until_terminated(ThreadingHTTPServer((HOST, 0), BankHolidaysHandler), f"http://{HOST}:{{port}}{PATH}")


if __name__ == "__main__":
    main()
