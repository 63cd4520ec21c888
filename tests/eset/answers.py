"""How ESET gives its reasons, for the table of what the world answers."""

from tests.words.world import Api

API = Api(
    error=lambda reason, status: {"code": status % 20, "message": reason, "details": []},
    login=lambda reason, _: {"error": "invalid_grant", "error_description": reason},
)
