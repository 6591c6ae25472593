"""A stand-in for Microsoft 365: sign-in, Graph, audit feed and downloads over HTTPS on loopback, with state.

It is written from what the vendor documents, not from our client, and it is strict where the
real service is strict. `Tenant` is the world: people change it by its methods, as they would in
the browser. `Tenant.serve` runs the servers that show it.
"""

from servers.microsoft365.tenant import Tenant

__all__ = ["Tenant"]
