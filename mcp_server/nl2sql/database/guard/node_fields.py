"""What PostgreSQL's nodes hold: every node and field that a read may be made of.

The contract is total. A node or field that is not listed is refused at run time, so that a new
version of PostgreSQL is read by a person before its queries are let through; the tests compare
the list with the server's own headers. `=` marks fields that say by object identifier what runs
or what is read. Fields of 16 to 18 are listed together.
Source: PostgreSQL, `primnodes.h`, `parsenodes.h`.
"""

from typing import Final

FUNCTION: Final = "function"
OPERATOR: Final = "operator"
FAMILY: Final = "family"  # of operators, whose support function is called
TYPE: Final = "type"
MADE: Final = "made"  # a type of which values are made, so that a domain's CHECK runs
RELATION: Final = "relation"
SAMPLER: Final = "sampler"  # the handler of a TABLESAMPLE method

_NODES = """
ALIAS: aliasname colnames
TABLEFUNC: functype ns_uris ns_names docexpr rowexpr colnames coltypes=made coltypmods
    colcollations colexprs coldefexprs colvalexprs passingvalexprs notnulls plan ordinalitycol
    location
VAR: varno varattno vartype=type vartypmod varcollid varnullingrels varlevelsup varreturningtype
    varnosyn varattnosyn location
CONST: consttype=made consttypmod constcollid constlen constvalue constisnull constbyval location
PARAM: paramkind paramid paramtype=type paramtypmod paramcollid location
AGGREF: aggfnoid=function aggtype=made aggcollid inputcollid aggtranstype=type aggargtypes=type
    aggdirectargs args aggorder aggdistinct aggfilter aggstar aggvariadic aggkind aggpresorted
    agglevelsup aggsplit aggno aggtransno location
GROUPINGFUNC: args refs cols agglevelsup location
WINDOWFUNC: winfnoid=function wintype=made wincollid inputcollid args aggfilter runCondition
    winref winstar winagg location
SUBSCRIPTINGREF: refcontainertype=type refelemtype=type refrestype=type reftypmod refcollid
    refupperindexpr reflowerindexpr refexpr refassgnexpr
FUNCEXPR: funcid=function funcresulttype=made funcretset funcvariadic funcformat funccollid
    inputcollid args location
NAMEDARGEXPR: arg name argnumber location
OPEXPR: opno=operator opfuncid opresulttype=made opretset opcollid inputcollid args location
DISTINCTEXPR: opno=operator opfuncid opresulttype=type opretset opcollid inputcollid args location
NULLIFEXPR: opno=operator opfuncid opresulttype=type opretset opcollid inputcollid args location
SCALARARRAYOPEXPR: opno=operator opfuncid hashfuncid negfuncid useOr inputcollid args location
BOOLEXPR: boolop args location
SUBLINK: subLinkType subLinkId testexpr operName subselect location
FIELDSELECT: arg fieldnum resulttype=type resulttypmod resultcollid
RELABELTYPE: arg resulttype=type resulttypmod resultcollid relabelformat location
COERCEVIAIO: arg resulttype=made resultcollid coerceformat location
ARRAYCOERCEEXPR: arg elemexpr resulttype=made resulttypmod resultcollid coerceformat location
CONVERTROWTYPEEXPR: arg resulttype=type convertformat location
COLLATEEXPR: arg collOid location
CASEEXPR: casetype=type casecollid arg args defresult location
CASEWHEN: expr result location
CASETESTEXPR: typeId=type typeMod collation
ARRAYEXPR: array_typeid=type array_collid element_typeid=type elements multidims list_start
    list_end location
ROWEXPR: args row_typeid=type row_format colnames location
ROWCOMPAREEXPR: cmptype rctype opnos=operator opfamilies=family inputcollids largs rargs
COALESCEEXPR: coalescetype=type coalescecollid args location
MINMAXEXPR: minmaxtype=type minmaxcollid inputcollid op args location
SQLVALUEFUNCTION: op type=type typmod location
XMLEXPR: op name named_args arg_names args xmloption indent type=type typmod location
JSONFORMAT: format_type encoding location
JSONRETURNING: format typid=made typmod
JSONVALUEEXPR: raw_expr formatted_expr format
JSONCONSTRUCTOREXPR: type args func coercion returning absent_on_null unique location
JSONISPREDICATE: expr format item_type unique_keys location
JSONBEHAVIOR: btype expr coerce location
JSONEXPR: op column_name formatted_expr format path_spec returning passing_names passing_values
    on_empty on_error use_io_coercion use_json_coercion wrapper omit_quotes collation location
JSONTABLEPATH: value name
JSONTABLEPATHSCAN: path errorOnError child colMin colMax
JSONTABLESIBLINGJOIN: lplan rplan
NULLTEST: arg nulltesttype argisrow location
BOOLEANTEST: arg booltesttype location
COERCETODOMAIN: arg resulttype=made resulttypmod resultcollid coercionformat location
COERCETODOMAINVALUE: typeId=type typeMod collation location
TARGETENTRY: expr resno resname ressortgroupref resorigtbl resorigcol resjunk
RANGETBLREF: rtindex
JOINEXPR: jointype isNatural larg rarg usingClause join_using_alias quals alias rtindex
FROMEXPR: fromlist quals
QUERY: commandType querySource queryId canSetTag utilityStmt resultRelation hasAggs hasWindowFuncs
    hasTargetSRFs hasSubLinks hasDistinctOn hasRecursive hasModifyingCTE hasForUpdate
    hasRowSecurity hasGroupRTE isReturn cteList rtable rteperminfos jointree mergeActionList
    mergeTargetRelation mergeJoinCondition mergeUseOuterJoin targetList override onConflict
    returningOldAlias returningNewAlias returningList groupClause groupDistinct groupingSets
    havingQual windowClause distinctClause sortClause limitOffset limitCount limitOption rowMarks
    setOperations constraintDeps withCheckOptions stmt_location stmt_len
RANGETBLENTRY: alias eref rtekind relid=relation inh relkind rellockmode perminfoindex tablesample
    subquery security_barrier jointype joinmergedcols joinaliasvars joinleftcols joinrightcols
    join_using_alias functions funcordinality tablefunc values_lists ctename ctelevelsup
    self_reference coltypes=type coltypmods colcollations groupexprs lateral inFromCl
    securityQuals
RTEPERMISSIONINFO: relid inh requiredPerms checkAsUser selectedCols insertedCols updatedCols
RANGETBLFUNCTION: funcexpr funccolcount funccolnames funccoltypes=made funccoltypmods
    funccolcollations funcparams
TABLESAMPLECLAUSE: tsmhandler=sampler args repeatable
SORTGROUPCLAUSE: tleSortGroupRef eqop=operator sortop=operator reverse_sort nulls_first hashable
GROUPINGSET: kind content location
WINDOWCLAUSE: name refname partitionClause orderClause frameOptions startOffset endOffset
    runCondition startInRangeFunc=function endInRangeFunc=function inRangeColl inRangeAsc
    inRangeNullsFirst winref copiedOrder
CTESEARCHCLAUSE: search_col_list search_breadth_first search_seq_column location
CTECYCLECLAUSE: cycle_col_list cycle_mark_column cycle_mark_value cycle_mark_default
    cycle_path_column location cycle_mark_type=type cycle_mark_typmod cycle_mark_collation
    cycle_mark_neop=operator
COMMONTABLEEXPR: ctename aliascolnames ctematerialized ctequery search_clause cycle_clause
    location cterecursive cterefcount ctecolnames ctecoltypes=type ctecoltypmods ctecolcollations
SETOPERATIONSTMT: op all larg rarg colTypes=type colTypmods colCollations groupClauses
VARIABLESHOWSTMT: name
"""


def _fields(written: str) -> dict[str, str | None]:
    pairs = (word.partition("=") for word in written.split())
    return {name: kind or None for name, _, kind in pairs}


NODES = {
    name: _fields(written)
    for name, _, written in (
        entry.partition(":") for entry in _NODES.replace("\n    ", " ").strip().splitlines()
    )
}
"""Node -> field -> what its object identifiers are of, or None."""
