"""How Sophos gives its reasons, for the table of what the world answers."""

from tests.words.world import Api

API = Api(
    error=lambda reason, _: {"error": "refused", "message": reason, "correlationId": "c", "code": "E1"},
    login=lambda reason, _: {"errorCode": "oauth.refused", "message": reason, "trackingId": "t"},
)
