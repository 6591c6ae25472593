"""Tables whose jobs need a disk, a share or a store that not every worker reaches."""

from __future__ import annotations

from typing import Any

from data_platform.settings import Settings
from data_platform.settings import settings as settings_of_process
from schemas.engine import dj


class WithinReach:
    """Makes what this worker reaches and leaves the rest to others; before `dj.Imported`.

    Attributes
    ----------
    settings
        Of an instance, whose worker sets them; None stands for those of the process.
    """

    settings: Settings | None = None

    def out_of_reach(self) -> list[dict[str, Any]]:
        """Return what this worker cannot make, as restrictions: others may."""
        raise NotImplementedError

    def populate(self, *restrictions: Any, **options: Any) -> dict[str, Any]:
        """Make what is within reach, as `dj.AutoPopulate.populate` does; the rest is left to others."""
        if away := self.out_of_reach():
            restrictions = (*restrictions, dj.Not(away))
        made: dict[str, Any] = super().populate(*restrictions, **options)  # type: ignore[misc]
        return made

    @property
    def in_force(self) -> Settings:
        """The settings to go by."""
        return self.settings or settings_of_process()
