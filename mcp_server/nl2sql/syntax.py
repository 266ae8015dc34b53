"""Which sqlglot syntax nodes a read may contain: every class of the library is in one list.

The contract is total. A node that nobody classified is refused at run time, and fails the test
suite, so that a new sqlglot release is read by a person before it is used.

ALLOWED   structure of a SELECT in PostgreSQL
CALLS     function calls; the name decides (see `functions.py`), not the class
REFUSED   everything else, with what is wrong about it
"""

from mcp_server.nl2sql.functions import words

ALLOWED = words(
    """
    Add Adjacent Alias Aliases All Any AtTimeZone Between BitString BitwiseAnd BitwiseLeftShift
    BitwiseNot BitwiseOr BitwiseRightShift BitwiseXor Boolean Bracket ByteString CTE
    CharacterSet Column ColumnDef Cube DPipe DataType DataTypeParam Distance DistanceNd Distinct
    Div Dot EQ Escape Except ExtendsLeft ExtendsRight Fetch Filter FormatJson From GT GTE Group
    GroupingSets Having Heredoc HexString ILike Identifier IgnoreNulls In IntDiv Intersect
    Interval IntervalSpan Is JSON JSONColumnDef JSONKeyValue JSONPath JSONPathFilter JSONPathKey
    JSONPathPart JSONPathRecursive JSONPathRoot JSONPathScript JSONPathSelector JSONPathSlice
    JSONPathSubscript JSONPathUnion JSONPathWildcard JSONSchema JSONValue Join Kwarg LT LTE
    Lateral Like Limit LimitOptions Literal Mod Mul NEQ National Neg Not Null NullSafeEQ
    NullSafeNEQ ObjectIdentifier Offset OnCondition Order Ordered Overlaps Paren RawString
    RecursiveWithSearch RespectNulls Rollup Select SimilarTo Slice Star Sub Subquery Table
    TableAlias TableSample TimeUnit Tuple Union Values Var Variadic Where Window WindowSpec With
    WithinGroup XMLKeyValueOption XMLNamespace
    """
)

CALLS = words(
    """
    AIAgg AIClassify AIEmbed AIForecast AIGenerate AISimilarity AISummarizeAgg Abs Acos Acosh
    AddMonths Agg AggFunc And Anonymous AnonymousAggFunc AnyValue Apply ApproxDistinct
    ApproxPercentileAccumulate ApproxPercentileCombine ApproxPercentileEstimate ApproxQuantile
    ApproxQuantiles ApproxTopK ApproxTopKAccumulate ApproxTopKCombine ApproxTopKEstimate
    ApproxTopSum ApproximateSimilarity ArgMax ArgMin Array ArrayAgg ArrayAll ArrayAny
    ArrayAppend ArrayCompact ArrayConcat ArrayConcatAgg ArrayConstructCompact ArrayContainedBy
    ArrayContains ArrayContainsAll ArrayDistinct ArrayExcept ArrayFilter ArrayFirst ArrayInsert
    ArrayIntersect ArrayLast ArrayMax ArrayMin ArrayOverlaps ArrayPosition ArrayPrepend
    ArrayRemove ArrayRemoveAt ArrayReverse ArraySize ArraySlice ArraySort ArraySum ArrayToString
    ArrayUnionAgg ArrayUniqueAgg ArraysZip Ascii Asin Asinh Atan Atan2 Atanh Avg
    Base64DecodeBinary Base64DecodeString Base64Encode BitLength BitmapBitPosition
    BitmapBucketNumber BitmapConstructAgg BitmapCount BitmapOrAgg BitwiseAndAgg BitwiseCount
    BitwiseOrAgg BitwiseXorAgg Booland Boolnot Boolor BoolxorAgg ByteLength Case Cast
    CastToStrType Cbrt Ceil CheckJson CheckXml Chr CityHash64 Coalesce CodePointsToBytes
    CodePointsToString Collate Collation Columns CombinedAggFunc CombinedParameterizedAgg
    Compress Concat ConcatWs ConnectByRoot Contains Convert ConvertTimezone ConvertToCharset
    Corr Cos Cosh CosineDistance Cot Coth Count CountIf CovarPop CovarSamp Csc Csch CumeDist
    CurrentAccount CurrentAccountName CurrentAvailableRoles CurrentCatalog CurrentClient
    CurrentDatabase CurrentDate CurrentDatetime CurrentIpAddress CurrentOrganizationName
    CurrentOrganizationUser CurrentRegion CurrentRole CurrentRoleType CurrentSchema
    CurrentSchemas CurrentSecondaryRoles CurrentSession CurrentStatement CurrentTime
    CurrentTimestamp CurrentTimestampLTZ CurrentTimezone CurrentTransaction CurrentUser
    CurrentUserId CurrentVersion CurrentWarehouse Date DateAdd DateBin DateDiff DateFromParts
    DateFromUnixDate DateStrToDate DateSub DateToDateStr DateToDi DateTrunc Datetime DatetimeAdd
    DatetimeDiff DatetimeSub DatetimeTrunc Day DayOfMonth DayOfWeek DayOfWeekIso DayOfYear
    Dayname Decode DecodeCase DecompressBinary DecompressString Decrypt DecryptRaw Degrees
    DenseRank DiToDate DotProduct DynamicIdentifier Elt Encode Encrypt EncryptRaw EndsWith
    EqualNull EuclideanDistance Exists Exp Explode ExplodingGenerateSeries Extract Factorial
    FarmFingerprint FeaturesAtTime First FirstValue Flatten Float64 Floor Format FromBase
    FromBase32 FromBase64 FromISO8601Date FromISO8601Timestamp FromISO8601TimestampNanos
    FromJson Func GapFill GenerateBool GenerateDateArray GenerateDouble GenerateEmbedding
    GenerateInt GenerateSeries GenerateTable GenerateText GenerateTimestampArray Generator
    GetExtract GetIgnoreCase Getbit Greatest GroupConcat Grouping GroupingId HashAgg Hex
    HexDecodeString Hll Host Hour If Initcap Inline Int64 IsArray IsAscii IsInf IsNan
    IsNullValue JSONArray JSONArrayAgg JSONArrayAppend JSONArrayContains JSONArrayInsert
    JSONBContains JSONBContainsAllTopKeys JSONBContainsAnyTopKeys JSONBContainsTopKey
    JSONBDeleteAtPath JSONBExists JSONBExtract JSONBExtractScalar JSONBObjectAgg JSONBPathExists
    JSONBool JSONCast JSONExists JSONExtract JSONExtractArray JSONExtractScalar JSONFormat
    JSONKeys JSONKeysAtDepth JSONObject JSONObjectAgg JSONRemove JSONSet JSONStripNulls
    JSONTable JSONType JSONValueArray JarowinklerSimilarity JustifyDays JustifyHours
    JustifyInterval Kurtosis Lag Last LastDay LastValue LaxBool LaxFloat64 LaxInt64 LaxString
    Lead Least Left Length Levenshtein List Ln Localtime Localtimestamp Log LogicalAnd LogicalOr
    Lower LowerHex MD5 MD5Digest MD5NumberLower64 MD5NumberUpper64 MLForecast MLTranslate
    MakeInterval ManhattanDistance Map MapCat MapContainsKey MapDelete MapFromEntries MapInsert
    MapKeys MapPick MapSize MatchAgainst Max Median Min Minhash MinhashCombine Minute Mode Month
    Monthname MonthsBetween Nanvl Negative NetFunc NextDay NextValueFor Normal Normalize
    NthValue Ntile Nullif NumberToStr Nvl2 ObjectAgg ObjectId ObjectInsert ObjectTransform
    OpenJSON Or Overlay Pad ParameterizedAgg ParseBignumeric ParseDatetime ParseIp ParseJSON
    ParseNumeric ParseTime ParseUrl PercentRank PercentileCont PercentileDisc Pi Posexplode
    PosexplodeOuter Pow Predict PreviousDay Quantile Quarter Radians Rand Randn Randstr
    RangeBucket RangeN Rank ReadCSV ReadParquet Reduce RegDomain RegexpCount RegexpExtract
    RegexpExtractAll RegexpFullMatch RegexpILike RegexpInstr RegexpLike RegexpReplace
    RegexpSplit RegexpSubstr RegrAvgx RegrAvgy RegrCount RegrIntercept RegrR2 RegrSlope RegrSxx
    RegrSxy RegrSyy RegrValx RegrValy Repeat Replace Reverse Right Rint Round RowNumber
    RtrimmedLength SHA SHA1Digest SHA2 SHA2Digest SafeAdd SafeConvertBytesToString SafeDivide
    SafeFunc SafeMultiply SafeNegate SafeSubtract Search SearchIp Sec Sech Second Secret Seq1
    Seq2 Seq4 Seq8 SessionUser Shuffle Sign Sin Sinh Skewness Soundex SoundexP123 Space Split
    SplitPart SplitToTable Sqrt StDistance StPoint Stack StandardHash StarMap StartsWith Stddev
    StddevPop StddevSamp StrPosition StrToDate StrToMap StrToTime StrToUnix String StringToArray
    StripNullValue Strtok StrtokSplitToTable StrtokToArray Struct StructExtract Stuff Substring
    SubstringIndex Sum Systimestamp Tan Tanh Time TimeAdd TimeDiff TimeFromParts TimeSlice
    TimeStrToDate TimeStrToTime TimeStrToUnix TimeSub TimeToStr TimeToTimeStr TimeToUnix
    TimeTrunc Timestamp TimestampAdd TimestampDiff TimestampFromParts TimestampLtzFromParts
    TimestampSub TimestampTrunc TimestampTzFromParts ToArray ToBase32 ToBase64 ToBinary
    ToBoolean ToChar ToCodePoints ToDays ToDecfloat ToDouble ToFile ToMap ToNumber ToVariant
    Transform Translate Trim Trunc Try TryBase64DecodeBinary TryBase64DecodeString TryCast
    TryHexDecodeBinary TryHexDecodeString TryToDecfloat TsOrDiToDi TsOrDsAdd TsOrDsDiff
    TsOrDsToDate TsOrDsToDateStr TsOrDsToDatetime TsOrDsToTime TsOrDsToTimestamp Typeof Unhex
    Unicode Uniform UnixDate UnixMicros UnixMillis UnixSeconds UnixToStr UnixToTime
    UnixToTimeStr Unnest Upper UtcDate UtcTime UtcTimestamp Uuid VarMap Variance VariancePop
    VectorSearch Week WeekOfYear WeekStart WeightString WidthBucket XMLElement XMLGet XMLTable
    Xor Year YearOfWeek YearOfWeekIso Zipf _ExplodeOuter
    """
)

_REFUSED = {
    "is no statement of its own": """
    Binary ColumnConstraintKind Condition Connector DDL DML DerivedTable Expr Expression
    Predicate Property Query Selectable SetOperation SubqueryPredicate UDTF Unary _TimeUnit
    """,
    "writes data": """
    ConditionalInsert Copy CopyParameter Delete Directory DirectoryStage Export Get
    InputOutputFormat Insert Into ListStage LoadData Merge MultitableInserts OnConflict Put
    Returning TruncateTable Update UsingData When Whens
    """,
    "locks rows": """
    Lock LockProperty LockingProperty LockingStatement
    """,
    "changes or shows the session": """
    AlterSession Commit Connect ConnectTo Declare DeclareItem Describe Disconnect Kill Pragma
    QueryBand Rollback SessionParameter Set SetItem Show Transaction Use
    """,
    "takes a value from outside": """
    Parameter Placeholder Reference
    """,
    "runs code or a command": """
    Block CaseStatement Command Comprehension EndStatement Execute ExecuteSql ForIn IfBlock
    Install Iterate Lambda Leave LoopBlock MacroOverload MacroOverloads Operator RepeatBlock
    Return StoredProcedure WhileBlock
    """,
    "changes the schema": """
    AddConstraint AddPartition AggregateKeyProperty AlgorithmProperty AllowedValuesProperty
    Alter AlterColumn AlterDistStyle AlterIndex AlterModifySqlSecurity AlterRename AlterSet
    AlterSortKey Analyze AnalyzeColumns AnalyzeDelete AnalyzeHistogram AnalyzeListChainedRows
    AnalyzeSample AnalyzeStatistics AnalyzeValidate AnalyzeWith ApiProperty ApplicationProperty
    AssumeColumnConstraint Attach AttachOption AutoIncrementColumnConstraint
    AutoIncrementProperty AutoRefreshProperty BackupProperty BinaryColumnConstraint
    BlockCompressionProperty BuildProperty Cache CalledOnNullInputProperty
    CaseSpecificColumnConstraint CatalogProperty CharacterSetColumnConstraint
    CharacterSetProperty Check CheckColumnConstraint ChecksumProperty Clone Cluster
    ClusterProperty ClusteredByProperty ClusteredColumnConstraint CollateColumnConstraint
    CollateProperty ColumnConstraint ColumnPosition Comment CommentColumnConstraint
    CompressColumnConstraint ComputeProperty ComputedColumnConstraint Constraint
    CopyGrantsProperty CopyTagsProperty Create Credentials CredentialsProperty
    DataBlocksizeProperty DataDeletionProperty DatabaseProperty DateFormatColumnConstraint
    DefaultColumnConstraint DefinerProperty Detach DictProperty DictSubProperty DistKeyProperty
    DistStyleProperty DistributedByProperty Drop DropPartition DropPrimaryKey
    DuplicateKeyProperty DynamicProperty EmptyProperty EncodeColumnConstraint EncodeProperty
    EngineProperty EnviromentProperty EphemeralColumnConstraint ExcludeColumnConstraint
    ExecuteAsProperty ExternalProperty FallbackProperty FileFormatProperty ForceProperty
    ForeignKey FreespaceProperty FunctionSpecification GeneratedAsIdentityColumnConstraint
    GeneratedAsRowColumnConstraint GlobalProperty Grant GrantPrincipal GrantPrivilege
    HandlerProperty HeapProperty HybridProperty IcebergProperty IgnoreGrantsProperty
    InOutColumnConstraint IncludeProperty Index IndexColumnConstraint IndexConstraintOption
    IndexParameters IndexTableHint InheritsProperty InlineLengthColumnConstraint
    InputModelProperty InteractiveProperty InvisibleColumnConstraint IsolatedLoadingProperty
    JournalProperty LanguageProperty LikeProperty LocationProperty LogProperty
    MaskingPolicyColumnConstraint MaskingProperty MaterializedProperty MergeBlockRatioProperty
    ModifyColumn ModuleProperty NetworkProperty NoPrimaryIndexProperty
    NonClusteredColumnConstraint NotForReplicationColumnConstraint NotNullColumnConstraint
    OnCluster OnCommitProperty OnProperty OnUpdateColumnConstraint Opclass OptionsProperty
    OutputModelProperty ParameterStyleProperty Partition PartitionBoundSpec PartitionByExcluding
    PartitionByListProperty PartitionByRangeProperty PartitionByRangePropertyDynamic
    PartitionByTruncate PartitionId PartitionList PartitionRange PartitionedByBucket
    PartitionedByProperty PartitionedOfProperty PathColumnConstraint
    PeriodForSystemTimeConstraint PhysicalProperty PrimaryKey PrimaryKeyColumnConstraint
    ProjectionPolicyColumnConstraint Properties Refresh RefreshTriggerProperty
    RemoteWithConnectionModelProperty RenameColumn RenameIndex ReplaceColumns ReplacePartition
    ReturnsProperty Revoke RollupProperty RowAccessProperty RowFormatDelimitedProperty
    RowFormatProperty RowFormatSerdeProperty SampleProperty Schema SchemaCommentProperty
    SecureProperty SecurityIntegrationProperty SequenceProperties SerdeProperties
    SetConfigProperty SetProperty SettingsProperty SharingProperty SortKeyProperty
    SqlReadWriteProperty SqlSecurityProperty StabilityProperty StorageHandlerProperty
    StorageProperty StreamingTableProperty StrictProperty Summarize SwapTable TableSpaceProperty
    Tag Tags TemporaryProperty TitleColumnConstraint ToTableProperty TransformModelProperty
    TransientProperty TriggerEvent TriggerExecute TriggerProperties TriggerReferencing Uncache
    Undrop UniqueColumnConstraint UniqueKeyProperty UnloggedProperty UppercaseColumnConstraint
    UserDefinedFunction UsingProperty UsingTemplateProperty UuidProperty ViewAttributeProperty
    VirtualProperty VolatileProperty WatermarkColumnConstraint WithDataProperty
    WithJournalTableProperty WithSchemaBindingProperty WithSystemVersioningProperty
    ZeroFillColumnConstraint
    """,
    "is not PostgreSQL": """
    AtIndex Changes ColumnPrefix DictRange Distribute ExplodeOuter Final ForClause FormatPhrase
    FromTimeZone Glob HavingMax Hint HistoricalData IntervalOp Introducer JSONExtractQuote
    JoinHint Match MatchRecognize MatchRecognizeMeasure MergeTreeTTL MergeTreeTTLAction
    ModelAttribute Nearest NestedJSONSelect OpenJSONColumnDef OverflowTruncateBehavior Per Pivot
    PivotAlias PivotAny PositionalColumn PreWhere Prior ProjectionDef PropertyEQ PseudoType
    Pseudocolumn Qualify QueryOption QueryTransform RollupIndex ScopeResolution SemanticView
    Semicolon SkipJSONColumn Sort Stream TableColumn TableFromRows TimeseriesKey
    TranslateCharacters UnicodeString UnpivotColumns Version WithFill WithOperator
    WithProcedureOptions WithTableHint
    """,
}

REFUSED = {name: reason for reason, names in _REFUSED.items() for name in names.split()}
