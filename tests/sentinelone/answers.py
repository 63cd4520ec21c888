"""How SentinelOne gives its reasons, for the table of what the world answers."""

from tests.words.world import Api

API = Api(error=lambda reason, status: {"errors": [{"code": status * 10_000 + 10, "detail": None, "title": reason}]})
